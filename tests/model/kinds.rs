//! Sizes for one kind of trouble each: the small ones, or all of them.

use tenios_ledger::Kind;

use super::judge::Coverage;
use super::size::{ANYTHING, Person, Second, Size, Spec, TAKES, TAKES_OR_NOT};
use super::sizes::{BEHIND, CHANGING, NOTHING, ORDERS};
use super::world::Left;

const PLAIN: [&[Spec]; 2] = [&[Spec::Plain], &[Spec::Plain]];

/// People change their minds, and the operator sees it late.
pub fn changed_behind(all: bool) -> Vec<Size> {
    let mut sizes = vec![Size {
        specs: CHANGING,
        lag: BEHIND,
        answers: TAKES,
        left: Left { edits: 1, recreations: 1, deletions: 1, ..NOTHING },
        comes_to: &[Coverage::LookedAgain, Coverage::Assigned],
        ..Size::new("one order, edited, suspended and deleted behind the operator's back")
    }];
    if all {
        sizes.extend([
            Size {
                replicas: 2,
                attempts: 1,
                specs: CHANGING,
                lag: BEHIND,
                answers: TAKES,
                left: Left { edits: 1, deletions: 1, ..NOTHING },
                comes_to: &[Coverage::LookedAgain],
                ..Size::new("one order, two replicas, edited, suspended and deleted behind their backs")
            },
            Size {
                specs: CHANGING,
                lag: BEHIND,
                answers: TAKES,
                left: Left { edits: 1, deletions: 1, crashes: 1, lost_writes: 1, ..NOTHING },
                comes_to: &[Coverage::LookedAgain, Coverage::LateWrite],
                ..Size::new("one order, changed behind the operator's back, crashes, lost writes")
            },
        ]);
    }
    sizes
}

/// The store is set back under processes that go on, while writes fail and others write.
pub fn set_back(all: bool) -> Vec<Size> {
    let mut sizes = vec![
        Size {
            answers: TAKES_OR_NOT,
            left: Left { set_backs: 1, failed_writes: 1, ..NOTHING },
            comes_to: &[Coverage::SetBack, Coverage::WriteFailed, Coverage::WrittenBack, Coverage::Assigned],
            ..Size::new("one order, the store set back while writes fail")
        },
        Size {
            attempts: 1,
            answers: TAKES,
            left: Left { set_backs: 1, foreign_writes: 3, ..NOTHING },
            comes_to: &[Coverage::SetBack, Coverage::WrittenBack, Coverage::Diverged],
            ..Size::new("one order, the store set back and written on by others")
        },
    ];
    if all {
        sizes.extend([
            Size {
                attempts: 3,
                answers: TAKES_OR_NOT,
                left: Left { set_backs: 1, failed_writes: 1, words: 1, ..NOTHING },
                comes_to: &[
                    Coverage::SetBack,
                    Coverage::WriteFailed,
                    Coverage::WrittenBack,
                    Coverage::WordHonoured,
                ],
                ..Size::new("one order, three requests, the store set back while writes fail")
            },
            Size {
                attempts: 1,
                replicas: 2,
                second: Second::Standby,
                answers: TAKES_OR_NOT,
                left: Left { set_backs: 1, failed_writes: 1, foreign_writes: 2, ..NOTHING },
                comes_to: &[
                    Coverage::SetBack,
                    Coverage::WriteFailed,
                    Coverage::WrittenBack,
                    Coverage::Diverged,
                ],
                ..Size::new("one order, the store set back, others' writes, writes that fail")
            },
        ]);
    }
    sizes
}

/// Names that meant one ledger entry once, and what there is was written then.
pub fn colliding(all: bool) -> Vec<Size> {
    let of = |name| Size {
        kinds: ORDERS,
        specs: PLAIN,
        names_collide: true,
        attempts: 1,
        refused_before: 1,
        answers: TAKES,
        ..Size::new(name)
    };
    let mut sizes = vec![Size {
        left: Left { losses: 1, ..NOTHING },
        comes_to: &[Coverage::EntryLost, Coverage::Assigned],
        ..of("two orders whose names meant one entry")
    }];
    if all {
        sizes.push(Size {
            left: Left { losses: 1, lost_writes: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::LateWrite, Coverage::Assigned],
            ..of("two orders whose names meant one entry, lost writes")
        });
    }
    sizes
}

const CANCELLABLE: &[Kind] = &[Kind::Order, Kind::Cancellation];
const CANCELLING: [&[Spec]; 2] =
    [&[Spec::Plain, Spec::Cancels, Spec::CancelsSuspended, Spec::CancelsAnother], &[]];
const ASKS_TO_CANCEL: [&[Spec]; 2] = [&[Spec::Cancels], &[]];

/// A number is cancelled once, and only where the spec repeats it.
pub fn cancelling(all: bool) -> Vec<Size> {
    let of = |name| Size {
        kinds: CANCELLABLE,
        specs: CANCELLING,
        assigned_before: true,
        answers: TAKES_OR_NOT,
        ..Size::new(name)
    };
    let mut sizes = vec![
        Size {
            specs: ASKS_TO_CANCEL,
            answers: ANYTHING,
            left: Left { crashes: 1, lost_writes: 1, words: 1, ..NOTHING },
            comes_to: &[
                Coverage::Cancelled,
                Coverage::Unknown,
                Coverage::SecondRequest,
                Coverage::WordHonoured,
                Coverage::LateWrite,
                Coverage::NeverLeft,
            ],
            ..of("a number is cancelled")
        },
        Size {
            attempts: 1,
            lag: BEHIND,
            left: Left { edits: 2, recreations: 1, deletions: 1, ..NOTHING },
            comes_to: &[Coverage::Cancelled, Coverage::LookedAgain],
            ..of("a number is cancelled, and everything changes behind the operator's back")
        },
        Size {
            specs: ASKS_TO_CANCEL,
            left: Left { losses: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::Cancelled, Coverage::EntryLost, Coverage::Rebuilt, Coverage::WordHonoured],
            ..of("a number is cancelled, and the entry of that is deleted")
        },
        Size {
            specs: [&[Spec::Plain, Spec::Cancels], &[]],
            assigned_before: false,
            attempts: 1,
            answers: TAKES,
            left: Left { edits: 2, recreations: 1, ..NOTHING },
            comes_to: &[Coverage::Assigned, Coverage::Cancelled],
            ..of("a number is ordered and cancelled")
        },
    ];
    if all {
        sizes.extend([
            Size {
                specs: ASKS_TO_CANCEL,
                replicas: 2,
                left: Left { crashes: 1, lost_writes: 1, words: 1, ..NOTHING },
                comes_to: &[
                    Coverage::Cancelled,
                    Coverage::Unknown,
                    Coverage::WordHonoured,
                    Coverage::LateWrite,
                ],
                ..of("a number is cancelled, two replicas")
            },
            Size {
                specs: ASKS_TO_CANCEL,
                person: Person::Careless,
                left: Left { words: 2, crashes: 1, ..NOTHING },
                comes_to: &[Coverage::Cancelled, Coverage::SecondRequest, Coverage::WordHonoured],
                ..of("a number is cancelled, and a person says anything")
            },
            Size {
                specs: ASKS_TO_CANCEL,
                left: Left { set_backs: 1, failed_writes: 1, ..NOTHING },
                comes_to: &[
                    Coverage::Cancelled,
                    Coverage::SetBack,
                    Coverage::WriteFailed,
                    Coverage::WrittenBack,
                ],
                ..of("a number is cancelled, the store set back while writes fail")
            },
        ]);
    }
    sizes
}
