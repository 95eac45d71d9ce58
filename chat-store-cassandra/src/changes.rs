//! Changes of members as the log keeps them beside the entry that made them: exactly what the engine told, so that whoever
//! completes the views later needs no state of the channel.

use chat_core::ports::PortError;
use chat_proto::channel::MemberChange;
use chat_proto::{Role, Seq, UserId};
use serde::{Deserialize, Serialize};

use crate::error::corrupt;

#[derive(Serialize, Deserialize)]
enum Kept {
    #[serde(rename = "j")]
    Joined(UserId, Role, Seq, Seq),
    #[serde(rename = "l")]
    Left(UserId),
    #[serde(rename = "r")]
    Role(UserId, Role),
}

/// Nothing where nothing changes.
pub(crate) fn encode(changes: &[MemberChange]) -> Result<Option<Vec<u8>>, serde_json::Error> {
    if changes.is_empty() {
        return Ok(None);
    }
    let kept = changes.iter().cloned().map(|change| match change {
        MemberChange::Joined {
            user,
            role,
            joined,
            visible_from,
        } => Kept::Joined(user, role, joined, visible_from),
        MemberChange::Left { user } => Kept::Left(user),
        MemberChange::Role { user, role } => Kept::Role(user, role),
    });
    serde_json::to_vec(&kept.collect::<Vec<_>>()).map(Some)
}

pub(crate) fn decode(
    op: &'static str,
    bytes: Option<&[u8]>,
) -> Result<Vec<MemberChange>, PortError> {
    let Some(bytes) = bytes else {
        return Ok(Vec::new());
    };
    let kept: Vec<Kept> = serde_json::from_slice(bytes).map_err(|error| corrupt(op, error))?;
    let changes = kept.into_iter().map(|kept| match kept {
        Kept::Joined(user, role, joined, visible_from) => MemberChange::Joined {
            user,
            role,
            joined,
            visible_from,
        },
        Kept::Left(user) => MemberChange::Left { user },
        Kept::Role(user, role) => MemberChange::Role { user, role },
    });
    Ok(changes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_as_they_were_told() -> Result<(), Box<dyn std::error::Error>> {
        let user: UserId = "ann".parse().map_err(|_| "a good name")?;
        let changes = vec![
            MemberChange::Joined {
                user: user.clone(),
                role: Role::Admin,
                joined: Seq(7),
                visible_from: Seq(1),
            },
            MemberChange::Role {
                user: user.clone(),
                role: Role::Guest,
            },
            MemberChange::Left { user },
        ];
        let kept = encode(&changes)?;
        assert_eq!(decode("test", kept.as_deref())?, changes);
        assert_eq!(encode(&[])?, None);
        assert_eq!(decode("test", None)?, []);
        Ok(())
    }
}
