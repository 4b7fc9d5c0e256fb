//! The life of one attempt, from the last look before its intent.

/// What a resource is right before the intent of its request, against what was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLook<R> {
    /// As it is now, the same is decided.
    Sends(R),
    /// It is another one by now, or asks for something else: that has to be decided anew.
    Changed(R),
    /// It is gone.
    Gone,
}

impl<R> LastLook<R> {
    /// `now` is read in a way that can't be stale, and none where nothing is there. One of the same name with another
    /// uid was re-created meanwhile.
    pub fn new<U: PartialEq>(
        decided_on: &U,
        now: Option<R>,
        uid: impl FnOnce(&R) -> U,
        still_sends: impl FnOnce(&R) -> bool,
    ) -> Self {
        let Some(now) = now else { return Self::Gone };
        if uid(&now) == *decided_on && still_sends(&now) { Self::Sends(now) } else { Self::Changed(now) }
    }
}
