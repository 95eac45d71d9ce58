//! A client's frame from bytes.

use super::client::{ClientFrame, ClientOp};
use super::format::{Format, Object, Unreadable};
use super::probe::{Op, Probe, RequestOp, check_object};
use crate::people::PrefsChange;
use crate::rejection::Rejection;

/// Why a client's frame was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No id was found under which an error could be answered: the connection closes with
    /// [`super::CloseCode::BadFrame`].
    #[error(transparent)]
    Unreadable(Unreadable),
    /// The request is answered with an error.
    #[error("request {id}: {rejection}")]
    Refused {
        /// Of the request.
        id: u32,
        /// Why.
        rejection: Rejection,
    },
}

/// Reads a client's frame.
///
/// # Errors
/// `Refused` wherever the frame has an id, which holds for all but `typing`, `ping` and what is no frame at all;
/// else `Unreadable`.
pub fn decode_client(format: Format, frame: &[u8]) -> Result<ClientFrame, DecodeError> {
    let probe = Probe::of(format, frame)?;
    let refuse = |rejection: Rejection| match probe.id {
        Some(id) => DecodeError::Refused { id, rejection },
        None => DecodeError::Unreadable(Unreadable::because(rejection.message)),
    };
    let op = probe.op.ok_or_else(|| refuse(no_op()))?;
    match op {
        Op::Ping => Ok(ClientFrame::Ping),
        Op::Typing => read(format, frame).map(ClientFrame::Typing).map_err(refuse),
        Op::Hello => {
            let id = probe.id.ok_or_else(|| refuse(no_id()))?;
            let hello = read(format, frame).map_err(refuse)?;
            Ok(ClientFrame::Hello { id, hello })
        }
        Op::Request(op) => {
            let id = probe.id.ok_or_else(|| refuse(no_id()))?;
            let op = read_op(format, frame, op).map_err(refuse)?;
            Ok(ClientFrame::Command { id, op })
        }
        Op::Unknown => Err(refuse(no_such_op())),
    }
}

/// Reads a request that did not come over a session: any client's frame but `hello`, `watch` and `ping`. Its id may
/// be left out, and is then 0.
///
/// # Errors
/// `bad_request`.
pub fn decode_op(format: Format, frame: &[u8]) -> Result<ClientFrame, Rejection> {
    match decode_session_op(format, frame)? {
        ClientFrame::Command {
            op: ClientOp::Watch(_),
            ..
        } => Err(needs_session()),
        frame => Ok(frame),
    }
}

/// Reads a request of a session that came by itself, as the body of an HTTP request: any client's frame but `hello` and
/// `ping`. Its id may be left out, and is then 0.
///
/// # Errors
/// `bad_request`.
pub fn decode_session_op(format: Format, frame: &[u8]) -> Result<ClientFrame, Rejection> {
    let probe = Probe::of(format, frame).map_err(|error| match error {
        DecodeError::Unreadable(unreadable) => Rejection::bad_request(unreadable.message),
        DecodeError::Refused { rejection, .. } => rejection,
    })?;
    match probe.op.ok_or_else(no_op)? {
        Op::Hello | Op::Ping => Err(needs_session()),
        Op::Typing => read(format, frame).map(ClientFrame::Typing),
        Op::Request(op) => Ok(ClientFrame::Command {
            id: probe.id.unwrap_or(0),
            op: read_op(format, frame, op)?,
        }),
        Op::Unknown => Err(no_such_op()),
    }
}

fn needs_session() -> Rejection {
    Rejection::bad_request("this op needs a session; open one")
}

/// Reads an object that is no frame, as the body of an HTTP request is, with the same care: no key twice, no nesting
/// without end, nothing behind it.
///
/// # Errors
/// `bad_request`.
pub fn decode_object<T: serde::de::DeserializeOwned>(
    format: Format,
    bytes: &[u8],
) -> Result<T, Rejection> {
    let refused = |fault: Unreadable| Rejection::bad_request(fault.message);
    check_object(format, bytes).map_err(refused)?;
    format
        .read_seed(bytes, Object::<T>::default())
        .map_err(refused)
}

fn read_op(format: Format, frame: &[u8], op: RequestOp) -> Result<ClientOp, Rejection> {
    match op {
        RequestOp::Sync => read(format, frame).map(ClientOp::Sync),
        RequestOp::Send => read(format, frame).map(ClientOp::Send),
        RequestOp::Edit => read(format, frame).map(ClientOp::Edit),
        RequestOp::Delete => read(format, frame).map(ClientOp::Delete),
        RequestOp::React => read(format, frame).map(ClientOp::React),
        RequestOp::Pin => read(format, frame).map(ClientOp::Pin),
        RequestOp::Read => read(format, frame).map(ClientOp::Read),
        RequestOp::Delivered => read(format, frame).map(ClientOp::Delivered),
        RequestOp::Prefs => {
            let change: PrefsChange = read(format, frame)?;
            change.prefs.check_any()?;
            Ok(ClientOp::Prefs(change))
        }
        RequestOp::Pull => read(format, frame).map(ClientOp::Pull),
        RequestOp::History => read(format, frame).map(ClientOp::History),
        RequestOp::Receipts => read(format, frame).map(ClientOp::Receipts),
        RequestOp::Watch => read(format, frame).map(ClientOp::Watch),
        RequestOp::Unwatch => read(format, frame).map(ClientOp::Unwatch),
        RequestOp::Status => read(format, frame).map(ClientOp::Status),
    }
}

fn read<'de, T: serde::Deserialize<'de>>(format: Format, frame: &'de [u8]) -> Result<T, Rejection> {
    format
        .read(frame)
        .map_err(|unreadable| Rejection::bad_request(unreadable.message))
}

fn no_op() -> Rejection {
    Rejection::bad_request("a frame says its `op`")
}

fn no_such_op() -> Rejection {
    Rejection::bad_request("the protocol has no such request")
}

fn no_id() -> Rejection {
    Rejection::bad_request("a frame other than typing and ping has an `id`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Code;
    use crate::wire::Mark;

    const CHANNEL: &str = "6f1f0f4e-7b7d-5c5e-9d57-0a3c1f2b4d5e";

    #[derive(Debug, PartialEq)]
    enum Outcome {
        Taken,
        Refused(u32, Code),
        Closed,
    }

    fn outcome(frame: &str) -> Outcome {
        outcome_of(Format::Json, frame.as_bytes())
    }

    fn outcome_of(format: Format, frame: &[u8]) -> Outcome {
        match decode_client(format, frame) {
            Ok(_) => Outcome::Taken,
            Err(DecodeError::Refused { id, rejection }) => Outcome::Refused(id, rejection.code),
            Err(DecodeError::Unreadable(_)) => Outcome::Closed,
        }
    }

    #[test]
    fn an_id_is_an_unsigned_number_of_32_bits() {
        let read = |id: &str| {
            outcome(&format!(
                r#"{{"op":"read","id":{id},"channel":"{CHANNEL}","seq":1}}"#
            ))
        };
        for good in ["0", "7", "4294967295"] {
            assert_eq!(read(good), Outcome::Taken, "{good}");
        }
        for bad in [
            "4294967296",
            "-1",
            "-0",
            "1.0",
            "1e3",
            "null",
            "\"1\"",
            "[1]",
            "{}",
            "true",
            "01",
            "NaN",
        ] {
            assert_eq!(read(bad), Outcome::Closed, "{bad}");
        }
    }

    #[test]
    fn a_fault_beside_the_id_is_answered_under_it() {
        let bad = Outcome::Refused(7, Code::BadRequest);
        for frame in [
            r#"{"id":7}"#,
            r#"{"id":7,"op":null}"#,
            r#"{"id":7,"op":1}"#,
            r#"{"id":7,"op":{"a":1}}"#,
            r#"{"id":7,"op":"shout"}"#,
            r#"{"id":7,"op":"read"}"#,
            r#"{"id":7,"op":"read","op":"ping"}"#,
            r#"{"id":7,"op":"typing","channel":1}"#,
            r#"{"id":7,"op":"read","x":{"deep":[{"a":1,"a":2}]}}"#,
            r#"{"id":7,"op":"read","x":{"a":1,"\u0061":2}}"#,
            r#"{"id":7,"op":"read","x":"\ud800"}"#,
            r#"{"id":7,"op":"read","x":1e999}"#,
        ] {
            assert_eq!(outcome(frame), bad, "{frame}");
        }
        let wide: Vec<String> = (0..50).map(|n| format!("\"k{}\":0", n % 49)).collect();
        let wide = format!(r#"{{"op":"ping","id":7,"x":{{{}}}}}"#, wide.join(","));
        assert_eq!(outcome(&wide), bad, "the 50th key repeats the first");
    }

    #[test]
    fn what_has_no_id_closes() {
        for frame in [
            "",
            " ",
            "{",
            "null",
            "7",
            "[]",
            "[7]",
            r#"["ping"]"#,
            r#"{"op":"ping"} x"#,
            r#"{"op":"ping"}{}"#,
            r#"{"op":"ping","id":1,"id":1}"#,
            r#"{"op":"ping","a":1,"a":1}"#,
            r#"{"op":"read"}"#,
            r#"{"op":"shout"}"#,
            r#"{"op":"edit"}"#,
            r#"{"op":"typing"}"#,
            r#"{"op":"typing","channel":"x"}"#,
            r#"{"op":"send","id":7,"to":{"#,
            "{'op':'ping'}",
            r#"{"op":"ping",}"#,
        ] {
            assert_eq!(outcome(frame), Outcome::Closed, "{frame}");
        }
    }

    #[test]
    fn prefs_change_something_and_a_watch_is_of_users_or_of_all_contacts() {
        let refused = Outcome::Refused(7, Code::BadRequest);
        let prefs = |rest: &str| {
            outcome(&format!(
                r#"{{"op":"prefs","id":7,"channel":"{CHANNEL}"{rest}}}"#
            ))
        };
        assert_eq!(prefs(r#","archived":false,"draft":null"#), Outcome::Taken);
        assert_eq!(prefs(r#","mute_until_ms":0"#), Outcome::Taken);
        assert_eq!(prefs(""), refused);
        assert_eq!(prefs(r#","archived":null"#), refused);
        assert_eq!(prefs(r#","mute_until_ms":-1"#), refused);
        let watch = |rest: &str| outcome(&format!(r#"{{"op":"watch","id":7{rest}}}"#));
        assert_eq!(
            watch(r#","users":["bob"],"contacts":false"#),
            Outcome::Taken
        );
        assert_eq!(watch(r#","users":null,"contacts":true"#), Outcome::Taken);
        assert_eq!(watch(""), refused);
        assert_eq!(watch(r#","contacts":false"#), refused);
        assert_eq!(watch(r#","users":["bob"],"contacts":true"#), refused);
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            outcome(&format!(r#"{{"op":"ping","id":7,"x":{open}{close}}}"#))
        };
        use super::super::format::NESTING_MAX;
        assert_eq!(nested(NESTING_MAX), Outcome::Taken);
        let refused = Outcome::Refused(7, Code::BadRequest);
        assert_eq!(nested(NESTING_MAX + 1), refused);
        assert_eq!(nested(500_000), refused);
        let packed = [b"\x82\xa2id\x07\xa1x".as_slice(), &[0x91; 500_000], b"\xc0"].concat();
        assert_eq!(outcome_of(Format::MessagePack, &packed), Outcome::Closed);
    }

    #[test]
    fn messagepack_says_no_more_than_json() {
        let ping = b"\x81\xa2op\xa4ping";
        assert_eq!(outcome_of(Format::MessagePack, ping), Outcome::Taken);
        for byte in 0..=u8::MAX {
            let trailing = [ping.as_slice(), &[byte]].concat();
            assert_eq!(
                outcome_of(Format::MessagePack, &trailing),
                Outcome::Closed,
                "{byte:#x}"
            );
        }
        let with = |extra: &[u8]| {
            let frame = [b"\x83\xa2op\xa4ping\xa2id\x07".as_slice(), extra].concat();
            outcome_of(Format::MessagePack, &frame)
        };
        assert_eq!(with(b"\xa1x\xc3"), Outcome::Taken);
        let refused = Outcome::Refused(7, Code::BadRequest);
        assert_eq!(with(b"\xa1x\xc4\x01a"), refused, "bytes");
        assert_eq!(with(b"\xa1x\xd4\x01a"), refused, "an extension type");
        assert_eq!(with(b"\xa1x\xa1\xff"), refused, "text that is not UTF-8");
        assert_eq!(with(b"\xa1x\x81\x01\x01"), refused, "a number as a key");
        assert_eq!(with(b"\xa1x\x81\xc0\x01"), refused, "null as a key");
        assert_ne!(with(b"\x01\x01"), Outcome::Taken, "a number as a field");
        assert_eq!(with(b"\xa1x\xc1"), Outcome::Closed, "the unused marker");
        assert_eq!(with(b"\xa1x"), Outcome::Closed, "an end too soon");
    }

    #[test]
    fn one_target_and_one_anchor_at_most() {
        let send = |to: &str| {
            outcome(&format!(
                r#"{{"op":"send","id":7,"to":{to},"client_id":"{CHANNEL}","body":{{"type":"text","text":"a"}},"mentions":null,"retry":null}}"#
            ))
        };
        let refused = Outcome::Refused(7, Code::BadRequest);
        assert_eq!(send(r#"{"user":"bob"}"#), Outcome::Taken);
        assert_eq!(send(r#"{"user":"bob","channel":null}"#), Outcome::Taken);
        for bad in [
            "{}",
            "null",
            r#"["bob"]"#,
            r#"{"user":"b b"}"#,
            &format!(r#"{{"user":"bob","channel":"{CHANNEL}"}}"#),
        ] {
            assert_eq!(send(bad), refused, "{bad}");
        }
        let history = |anchor: &str| {
            outcome(&format!(
                r#"{{"op":"history","id":7,"channel":"{CHANNEL}"{anchor}}}"#
            ))
        };
        assert_eq!(history(""), Outcome::Taken);
        assert_eq!(history(r#","before":9,"after":null"#), Outcome::Taken);
        assert_eq!(history(r#","before":9,"after":1"#), refused);
        assert_eq!(history(r#","limit":-1"#), refused);
    }

    #[test]
    fn without_a_session_the_id_may_be_missing() {
        let read = format!(r#"{{"op":"read","channel":"{CHANNEL}","seq":1}}"#);
        let command = decode_op(Format::Json, read.as_bytes());
        assert!(
            matches!(command, Ok(ClientFrame::Command { id: 0, .. })),
            "{command:?}"
        );
        let code = |frame: &str| {
            decode_op(Format::Json, frame.as_bytes())
                .map_err(|rejection| rejection.code)
                .err()
        };
        assert_eq!(
            code(r#"{"op":"hello","token":"t","client":"c/1"}"#),
            Some(Code::BadRequest)
        );
        assert_eq!(code(r#"{"op":"ping"}"#), Some(Code::BadRequest));
        assert_eq!(code(r#"{"op":"watch","users":[]}"#), Some(Code::BadRequest));
        assert_eq!(code(r#"{"op":"unwatch","users":[]}"#), None);
        assert_eq!(code(r#"{"op":"shout"}"#), Some(Code::BadRequest));
        assert_eq!(code("{"), Some(Code::BadRequest));
        assert_eq!(
            code(&format!(r#"{{"op":"typing","channel":"{CHANNEL}"}}"#)),
            None
        );
    }

    #[test]
    fn an_object_is_read_with_the_care_of_a_frame() {
        let read = |json: &str| decode_object::<Mark>(Format::Json, json.as_bytes());
        let mark = format!(r#"{{"channel":"{CHANNEL}","seq":1,"id":"any","op":7}}"#);
        assert!(read(&mark).is_ok());
        for bad in [
            "",
            "null",
            "[]",
            &format!(r#"["{CHANNEL}",1]"#),
            &format!("{mark} {{}}"),
            &mark.replacen("\"id\"", "\"seq\"", 1),
            &mark.replacen("7", r#"{"a":1,"a":2}"#, 1),
            &mark.replacen("7", &"[".repeat(100_000), 1),
        ] {
            let code = read(bad).map_err(|rejection| rejection.code);
            assert_eq!(code.err(), Some(Code::BadRequest), "{bad:.80}");
        }
    }

    #[test]
    fn a_reason_is_short_whatever_came() {
        let frame = format!(
            r#"{{"op":"pull","id":7,"channel":"{}"}}"#,
            "é".repeat(50_000)
        );
        let frame = frame.replacen("\"channel\":", "\"after\":", 1);
        match decode_client(Format::Json, frame.as_bytes()) {
            Err(DecodeError::Refused { id: 7, rejection }) => {
                assert!(rejection.message.len() < 300, "{}", rejection.message);
            }
            other => panic!("{other:?}"),
        }
    }
}
