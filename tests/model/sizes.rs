//! The sizes that are explored.

use tenios_ledger::Kind;

use super::judge::Coverage;
use super::size::{
    ANYTHING, Assumes, Lag, Person, Second, Size, Spec, TAKES, TAKES_OR_NOT, TAKES_OR_REFUSES,
};
use super::world::Left;

pub const NOTHING: Left = Size::new("").left;
pub const ORDERS: &[Kind] = &[Kind::Order, Kind::Order];
const BOTH: &[Kind] = &[Kind::Verification, Kind::Order];
const ADOPTING: [&[Spec]; 2] =
    [&[Spec::Plain, Spec::Different, Spec::AdoptsOwn(0), Spec::AdoptsForeign], &[]];
pub const CHANGING: [&[Spec]; 2] = [&[Spec::Plain, Spec::Suspended, Spec::Different], &[]];
pub const BEHIND: Lag = Lag { resources: true, one_step: false };
const CLAIMING: [&[Spec]; 2] =
    [&[Spec::Plain, Spec::AdoptsForeign], &[Spec::Plain, Spec::AdoptsForeign, Spec::AdoptsOthers]];
const REFERRING: [&[Spec]; 2] = [&[Spec::Plain, Spec::Approved], &[Spec::Refers]];

/// Those for every run of the tests: some seconds together.
pub fn small() -> Vec<Size> {
    vec![
        Size {
            left: Left { crashes: 1, lost_writes: 1, words: 1, ..NOTHING },
            comes_to: &[
                Coverage::Assigned,
                Coverage::Unknown,
                Coverage::SecondRequest,
                Coverage::WordHonoured,
                Coverage::LateWrite,
                Coverage::NeverLeft,
            ],
            ..Size::new("one order, one replica")
        },
        Size {
            replicas: 2,
            answers: TAKES_OR_NOT,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            comes_to: &[
                Coverage::Assigned,
                Coverage::Unknown,
                Coverage::SecondRequest,
                Coverage::WordHonoured,
            ],
            ..Size::new("one order, two replicas")
        },
        Size {
            specs: ADOPTING,
            answers: TAKES_OR_REFUSES,
            left: Left { edits: 1, recreations: 1, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Stray, Coverage::SecondRequest],
            ..Size::new("one order, edited, adopting, re-created")
        },
        Size {
            person: Person::Careless,
            answers: TAKES_OR_NOT,
            left: Left { words: 2, ..NOTHING },
            comes_to: &[Coverage::Stray, Coverage::WordHonoured],
            ..Size::new("one order, a person who says anything")
        },
        Size {
            refused_before: 7,
            answers: TAKES_OR_NOT,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::Folded, Coverage::Assigned, Coverage::WordHonoured],
            ..Size::new("one order, a long history")
        },
        Size {
            left: Left { crashes: 1, losses: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt, Coverage::Assigned],
            ..Size::new("one order, its ledger entry deleted")
        },
        Size {
            left: Left { losses: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt, Coverage::WordHonoured],
            ..Size::new("one order, its ledger entry deleted, then a person's word")
        },
        Size {
            attempts: 3,
            restores: true,
            left: Left { losses: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt, Coverage::SecondRequest],
            ..Size::new("one order, its ledger entry restored as it was before")
        },
        Size {
            kinds: BOTH,
            specs: REFERRING,
            attempts: 1,
            left: Left { crashes: 1, edits: 1, ..NOTHING },
            comes_to: &[Coverage::Assigned, Coverage::Unknown],
            ..Size::new("a verification and an order that refers to it")
        },
        Size {
            kinds: ORDERS,
            specs: CLAIMING,
            attempts: 1,
            answers: TAKES,
            left: Left { edits: 2, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Conflict, Coverage::Assigned],
            ..Size::new("two orders that claim the same")
        },
    ]
}

/// All of them: some minutes.
pub fn all() -> Vec<Size> {
    let mut all = small();
    all.extend(one_order());
    all.extend(several_resources());
    all
}

fn one_order() -> Vec<Size> {
    vec![
        Size {
            attempts: 3,
            answers: TAKES_OR_NOT,
            left: Left { crashes: 1, lost_writes: 1, words: 2, wipes: 1, old_lists: 1, ..NOTHING },
            comes_to: &[Coverage::LateWrite, Coverage::NeverLeft, Coverage::WordHonoured],
            ..Size::new("one order, one replica, three requests")
        },
        Size {
            replicas: 2,
            answers: TAKES_OR_NOT,
            left: Left { crashes: 1, lost_writes: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::LateWrite, Coverage::NeverLeft, Coverage::WordHonoured],
            ..Size::new("one order, two replicas, lost writes")
        },
        Size {
            replicas: 2,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            ..Size::new("one order, two replicas, every answer")
        },
        Size {
            replicas: 2,
            lag: Lag { resources: true, one_step: true },
            answers: TAKES_OR_NOT,
            left: Left { words: 1, ..NOTHING },
            ..Size::new("one order, two replicas that lag behind")
        },
        Size {
            replicas: 2,
            person: Person::Careless,
            answers: TAKES_OR_NOT,
            left: Left { words: 2, crashes: 1, ..NOTHING },
            comes_to: &[Coverage::Stray],
            ..Size::new("one order, two replicas, a person who says anything")
        },
        Size {
            specs: ADOPTING,
            lag: BEHIND,
            answers: TAKES_OR_REFUSES,
            left: Left { crashes: 1, words: 1, edits: 2, recreations: 1, wipes: 1, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Stray],
            ..Size::new("one order, edited, adopting, re-created, wiped, by a replica that lags behind")
        },
        Size {
            replicas: 2,
            specs: ADOPTING,
            answers: TAKES_OR_REFUSES,
            left: Left { edits: 1, recreations: 1, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Stray],
            ..Size::new("one order, two replicas, edited, adopting, re-created")
        },
        Size {
            replicas: 2,
            refused_before: 7,
            answers: TAKES_OR_NOT,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::Folded],
            ..Size::new("one order, two replicas, a long history")
        },
        Size {
            attempts: 3,
            replicas: 2,
            answers: TAKES_OR_NOT,
            left: Left { losses: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt],
            ..Size::new("one order, two replicas, its ledger entry deleted")
        },
        Size {
            attempts: 3,
            replicas: 2,
            restores: true,
            answers: TAKES_OR_NOT,
            left: Left { losses: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt],
            ..Size::new("one order, two replicas, its ledger entry restored as it was before")
        },
        Size {
            specs: [&[Spec::Plain, Spec::Different, Spec::AdoptsOwn(0)], &[]],
            answers: TAKES_OR_REFUSES,
            left: Left { losses: 1, edits: 2, words: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt, Coverage::Adopted],
            ..Size::new("one order, edited, adopting, its ledger entry deleted")
        },
    ]
}

fn several_resources() -> Vec<Size> {
    vec![
        Size {
            kinds: &[Kind::Verification],
            replicas: 2,
            answers: ANYTHING,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::WordHonoured, Coverage::SecondRequest],
            ..Size::new("one verification, two replicas")
        },
        Size {
            kinds: &[Kind::Verification],
            attempts: 3,
            left: Left { crashes: 1, losses: 1, words: 1, ..NOTHING },
            comes_to: &[Coverage::EntryLost, Coverage::Rebuilt, Coverage::WordHonoured],
            ..Size::new("one verification, its ledger entry deleted")
        },
        Size {
            kinds: BOTH,
            specs: REFERRING,
            left: Left { crashes: 1, words: 1, edits: 1, ..NOTHING },
            comes_to: &[Coverage::Assigned, Coverage::WordHonoured],
            ..Size::new("a verification and an order that refers to it, two requests each")
        },
        Size {
            kinds: BOTH,
            specs: REFERRING,
            attempts: 1,
            replicas: 2,
            answers: TAKES_OR_REFUSES,
            left: Left { crashes: 1, edits: 1, ..NOTHING },
            comes_to: &[Coverage::Assigned],
            ..Size::new("a verification and an order that refers to it, two replicas")
        },
        Size {
            kinds: ORDERS,
            specs: CLAIMING,
            attempts: 1,
            answers: TAKES_OR_REFUSES,
            left: Left { crashes: 1, edits: 2, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Conflict],
            ..Size::new("two orders that claim the same, crashes")
        },
        Size {
            kinds: ORDERS,
            specs: [&[Spec::Plain], &[Spec::Suspended, Spec::AdoptsOthers]],
            attempts: 1,
            replicas: 2,
            answers: TAKES_OR_NOT,
            left: Left { edits: 1, crashes: 1, ..NOTHING },
            comes_to: &[Coverage::Adopted, Coverage::Conflict],
            ..Size::new("two orders, one of which claims the other's, two replicas")
        },
        Size {
            kinds: ORDERS,
            specs: [&[Spec::AdoptsForeign], &[Spec::AdoptsForeign]],
            attempts: 0,
            replicas: 2,
            left: Left { crashes: 2, lost_writes: 1, recreations: 1, ..NOTHING },
            second: Second::HourBehind,
            comes_to: &[Coverage::Adopted, Coverage::Conflict],
            ..Size::new("two orders that adopt the same, two replicas")
        },
    ]
}

/// Worlds in which something is not as it is taken for granted: the model has to notice.
pub fn broken_assumptions() -> Vec<Size> {
    vec![
        Size {
            replicas: 2,
            assumes: Assumes { compare_and_set: false, ..Assumes::ALL },
            ..Size::new("a store that does not compare before it sets")
        },
        Size {
            replicas: 2,
            left: Left { words: 1, ..NOTHING },
            assumes: Assumes { deadline: false, ..Assumes::ALL },
            ..Size::new("a paused sender that sends after its deadline")
        },
        Size {
            specs: CHANGING,
            lag: BEHIND,
            left: Left { edits: 1, ..NOTHING },
            assumes: Assumes { last_look: false, ..Assumes::ALL },
            ..Size::new("an operator that does not look again before it orders")
        },
        Size {
            lag: BEHIND,
            left: Left { deletions: 1, ..NOTHING },
            assumes: Assumes { last_look: false, ..Assumes::ALL },
            ..Size::new("an operator that does not see a deletion before it orders")
        },
    ]
}

/// What is known not to hold, each with the promise that a state breaks. Whoever closes one moves it to the
/// others.
pub fn gaps() -> Vec<Size> {
    let deleted = Size { attempts: 3, left: Left { losses: 1, ..NOTHING }, ..Size::new("") };
    vec![
        // The annotation is set while the request is in flight, and truly so; it is honoured once the sender
        // died, when the request was taken meanwhile.
        Size {
            name: "a word that was said before anybody asked",
            person: Person::Early,
            left: Left { crashes: 1, words: 1, ..NOTHING },
            ..Size::new("")
        },
        // The ledger entry goes before the replica sees the status that it wrote itself.
        Size { name: "the ledger entry deleted, the status not seen yet", lag: BEHIND, ..deleted.clone() },
        // The status does not tell an adopted id from one that its attempt brought, so that this one is
        // dropped when it comes.
        Size {
            name: "the ledger entry deleted after a wrong id was adopted",
            specs: ADOPTING,
            left: Left { losses: 1, edits: 1, ..NOTHING },
            ..deleted.clone()
        },
        // A create that was given up arrives in the place of the deleted entry.
        Size {
            name: "the ledger entry deleted, a late write in its place",
            left: Left { losses: 1, lost_writes: 1, ..NOTHING },
            ..deleted
        },
        // An intent that was given up before the restore arrives in the store after it, and comes on top of that of
        // the request that is on its way: an entry tells of one open request.
        Size {
            left: Left { set_backs: 1, lost_writes: 1, failed_writes: 2, ..NOTHING },
            ..Size::new("the store set back, a late write in it")
        },
    ]
}
