//! The laws.

use std::fmt;

/// What holds of every history, whatever fails on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// A log's `seq` runs from 1 without a gap.
    SeqIsContiguous,
    /// `n` is the number of messages up to the entry.
    OrdinalsCountMessages,
    /// Message ids rise with `seq`.
    IdsRise,
    /// A key is in a log at most once.
    KeysAreOnce,
    /// What was acknowledged is in the log.
    AcknowledgedIsPresent,
    /// It is at the place and under the name that were acknowledged.
    AcknowledgedKeepsItsPlace,
    /// A message's body is what its sender sent.
    BodiesAreAsSent,
    /// What was rejected is not in the log.
    RejectedIsAbsent,
    /// Nothing is in the log that nobody sent.
    NothingIsInvented,
    /// One device's commands to a channel are in the log in the order in which they were sent.
    SendersKeepTheirOrder,
    /// A device has every entry from the first visible one on.
    DevicesMissNothing,
    /// A device has no entry twice.
    DevicesRepeatNothing,
    /// A device has the entries in order.
    DevicesKeepTheOrder,
    /// An entry on a device is the server's, with the same body.
    DevicesHaveTheSame,
    /// A device has nothing that the server's log does not hold, or that lies outside of what its user may see.
    DevicesHaveNothingElse,
}

impl Law {
    /// All of them, in the order in which they are checked.
    pub const ALL: [Self; 15] = [
        Self::SeqIsContiguous,
        Self::OrdinalsCountMessages,
        Self::IdsRise,
        Self::KeysAreOnce,
        Self::AcknowledgedIsPresent,
        Self::AcknowledgedKeepsItsPlace,
        Self::BodiesAreAsSent,
        Self::RejectedIsAbsent,
        Self::NothingIsInvented,
        Self::SendersKeepTheirOrder,
        Self::DevicesMissNothing,
        Self::DevicesRepeatNothing,
        Self::DevicesKeepTheOrder,
        Self::DevicesHaveTheSame,
        Self::DevicesHaveNothingElse,
    ];

    /// The law as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SeqIsContiguous => "seq is contiguous from 1",
            Self::OrdinalsCountMessages => "n counts the messages",
            Self::IdsRise => "message ids rise with seq",
            Self::KeysAreOnce => "a key is in a log at most once",
            Self::AcknowledgedIsPresent => "what was acknowledged is in the log",
            Self::AcknowledgedKeepsItsPlace => "what was acknowledged is where it was acknowledged",
            Self::BodiesAreAsSent => "a body is what its sender sent",
            Self::RejectedIsAbsent => "what was rejected is not in the log",
            Self::NothingIsInvented => "nothing is in the log that nobody sent",
            Self::SendersKeepTheirOrder => "a device's commands are in the log in the order sent",
            Self::DevicesMissNothing => "a device has every visible entry",
            Self::DevicesRepeatNothing => "a device has no entry twice",
            Self::DevicesKeepTheOrder => "a device has the entries in order",
            Self::DevicesHaveTheSame => "an entry on a device is the server's",
            Self::DevicesHaveNothingElse => "a device has nothing but visible entries of the log",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
