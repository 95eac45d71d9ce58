use super::*;

const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

fn reader(bytes_max: usize) -> Reader {
    Reader::new(bytes_max, Arc::new(PartialBytes::new(1 << 20)))
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("short")),
        middle @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(middle).expect("middle").to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

fn text(text: &str) -> Inbound {
    Inbound::Text(text.as_bytes().into())
}

#[test]
fn a_stream_is_read_the_same_however_it_is_cut() {
    let long = "ü".repeat(40_000);
    let stream = [
        frame(0x81, b"hello"),
        frame(0x01, "a\u{e4}".as_bytes().split_at(2).0),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x80, "a\u{e4}".as_bytes().split_at(2).1),
        frame(0x82, &[0xff; 300]),
        frame(0x81, long.as_bytes()),
        frame(0x8a, b""),
        frame(0x88, &[0x03, 0xe8]),
    ]
    .concat();
    let expected = [
        text("hello"),
        Inbound::Ping(b"ping".as_slice().into()),
        text("aä"),
        Inbound::Binary([0xff; 300].as_slice().into()),
        text(&long),
        Inbound::Pong,
        Inbound::Close(Some(1000)),
    ];
    for cut in [1, 2, 3, 7, 125, 4_096, 1 << 20] {
        let mut reader = reader(100_000);
        let mut read = Vec::new();
        for bytes in stream.chunks(cut) {
            reader.push(bytes);
            while let Some(inbound) = reader.next().expect("a sound stream") {
                read.push(inbound);
            }
        }
        assert_eq!(read, expected, "cut every {cut} bytes");
        assert_eq!(
            reader.buffer.capacity(),
            0,
            "an idle connection has no buffer"
        );
    }
}

#[test]
fn rules_of_websocket_are_enforced() {
    let unmasked = vec![0x81, 0x02, b'h', b'i'];
    let cases: [(&str, Vec<u8>, u16); 13] = [
        ("unmasked", unmasked, 1002),
        ("reserved bit", frame(0xc1, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("reserved control", frame(0x8b, b"x"), 1002),
        ("stray continuation", frame(0x80, b"x"), 1002),
        (
            "a message inside a message",
            [frame(0x01, b"x"), frame(0x81, b"x")].concat(),
            1002,
        ),
        ("fragmented ping", frame(0x09, b"x"), 1002),
        ("long ping", frame(0x89, &[0; 126]), 1002),
        ("half a close code", frame(0x88, &[3]), 1002),
        ("a close code for nobody", frame(0x88, &[0x03, 0xed]), 1002),
        ("text", frame(0x81, &[0xff]), 1007),
        (
            "text over two fragments",
            [frame(0x01, &[0xc3]), frame(0x80, &[0x28])].concat(),
            1007,
        ),
        ("a reason", frame(0x88, &[0x03, 0xe8, 0xff]), 1007),
    ];
    for (what, stream, code) in cases {
        let mut reader = reader(1_000);
        reader.push(&stream);
        let fault = std::iter::repeat_with(|| reader.next()).find_map(Result::err);
        assert_eq!(
            fault.and_then(|fault| fault.close_code()),
            Some(code),
            "{what}"
        );
    }
}

#[test]
fn the_limit_counts_all_fragments_and_reading_goes_on_behind_it() {
    let mut reader = reader(10);
    reader.push(&frame(0x81, &[b'x'; 10]));
    assert!(matches!(reader.next(), Ok(Some(Inbound::Text(_)))));
    reader.push(&frame(0x01, &[b'x'; 6]));
    assert!(matches!(reader.next(), Ok(None)));
    reader.push(&frame(0x80, &[b'x'; 5]));
    assert!(matches!(
        reader.next(),
        Err(Fault::TooLarge { bytes_max: 10 })
    ));
    reader.discard();
    reader.push(&frame(0x82, &[0; 70_000]));
    reader.push(&frame(0x88, &[]));
    let next = std::iter::repeat_with(|| reader.next().expect("sound"))
        .take(3)
        .flatten()
        .next();
    assert_eq!(next, Some(Inbound::Close(None)));
}

#[test]
fn a_size_that_no_memory_holds_is_refused_from_the_head_alone() {
    let mut reader = reader(1 << 20);
    reader.push(&[
        0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
    ]);
    assert!(matches!(reader.next(), Err(Fault::TooLarge { .. })));
}

#[test]
fn empty_fragments_have_an_end_and_others_only_the_limit_on_bytes() {
    let mut reader = reader(100_000);
    reader.push(&frame(0x01, b""));
    for _ in 0..10 * EMPTY_FRAGMENTS_MAX {
        reader.push(&frame(0x00, b"x"));
        assert!(matches!(reader.next(), Ok(None)));
    }
    let fault = (0..EMPTY_FRAGMENTS_MAX).find_map(|_| {
        reader.push(&frame(0x00, b""));
        reader.next().err()
    });
    assert!(matches!(fault, Some(Fault::Protocol(_))));
}

#[test]
fn text_that_cannot_become_utf8_is_refused_before_its_end() {
    let mut reader = reader(1_000);
    reader.push(&frame(0x01, b"good \xc3"));
    assert!(matches!(reader.next(), Ok(None)));
    reader.push(&frame(0x00, b"\xa4 and \xf0\x9f"));
    assert!(
        matches!(reader.next(), Ok(None)),
        "a character may be cut anywhere"
    );
    reader.push(&frame(0x00, b"bad"));
    assert!(matches!(reader.next(), Err(Fault::NotUtf8)));
}

#[test]
fn what_has_begun_counts_against_all() {
    let all = Arc::new(PartialBytes::new(50_000));
    let mut first = Reader::new(100_000, Arc::clone(&all));
    let mut second = Reader::new(100_000, Arc::clone(&all));
    let message = frame(0x82, &[7; 60_000]);
    first.push(&message[..50_000]);
    assert!(matches!(first.next(), Ok(None)));
    second.push(&message[..50_000]);
    assert!(matches!(second.next(), Err(Fault::Busy)));
    drop(second);
    first.push(&message[50_000..]);
    assert!(matches!(first.next(), Ok(Some(Inbound::Binary(bytes))) if bytes.len() == 60_000));
    assert!(matches!(first.next(), Ok(None)));
    let mut third = Reader::new(100_000, all);
    third.push(&message[..50_000]);
    assert!(matches!(third.next(), Ok(None)));
}
