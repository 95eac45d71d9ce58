use chat_proto::{ChannelId, History, NodeId, Seq};

use super::*;
use crate::memory::fixture::{Writer, user, write};
use crate::memory::{MemoryRouter, MemoryStore};
use crate::ports::{Envelope, InboxStore, Payload, Router};

const PAUSE_MAX: Duration = Duration::from_millis(10);
const PAUSE: ChaosConfig = ChaosConfig {
    pause: 0.0,
    pause_max: PAUSE_MAX,
    fail: 0.0,
    lose_answer: 0.0,
    lose_request: 0.0,
    apply_late: 0.0,
    drop_envelope: 0.0,
    delay_envelope: 0.0,
};

struct Setup {
    memory: Arc<MemoryStore>,
    writer: Writer,
}

impl Setup {
    async fn new() -> Result<Self, PortError> {
        let memory = Arc::new(MemoryStore::new());
        let mut writer = Writer::new("room");
        write(&*memory, writer.group(&["ann"], History::All)).await?;
        Ok(Self { memory, writer })
    }

    fn chaos(&self, config: ChaosConfig, seed: u64) -> Chaos<dyn MessageStore> {
        let inner: Arc<dyn MessageStore> = Arc::<MemoryStore>::clone(&self.memory);
        Chaos::new(inner, config, seed)
    }

    async fn head(&self) -> Result<Seq, PortError> {
        Ok(self.memory.heads(&[self.writer.channel()]).await?[0].seq)
    }

    /// Appends under chaos, and tells what the caller may assume and where the log ends.
    async fn append(&mut self, chaos: &Chaos<dyn MessageStore>) -> Result<(Retry, Seq), PortError> {
        let append = self.writer.message("ann", &[]);
        let error = chaos
            .append(append)
            .await
            .expect_err("this chaos always strikes");
        Ok((error.retry(), self.head().await?))
    }
}

#[tokio::test(start_paused = true)]
async fn each_failure_says_what_may_be_assumed() -> Result<(), PortError> {
    for (config, expected) in [
        (ChaosConfig { fail: 1.0, ..PAUSE }, (Retry::Safe, Seq(1))),
        (
            ChaosConfig {
                lose_request: 1.0,
                ..PAUSE
            },
            (Retry::Unknown, Seq(1)),
        ),
        (
            ChaosConfig {
                lose_answer: 1.0,
                ..PAUSE
            },
            (Retry::Unknown, Seq(2)),
        ),
    ] {
        let mut setup = Setup::new().await?;
        let chaos = setup.chaos(config, 1);
        assert_eq!(setup.append(&chaos).await?, expected);
        chaos.settle().await;
        assert_eq!(setup.head().await?, expected.1, "and nothing later");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_late_append_is_applied_while_its_place_is_free() -> Result<(), PortError> {
    let mut setup = Setup::new().await?;
    let chaos = setup.chaos(
        ChaosConfig {
            apply_late: 1.0,
            ..PAUSE
        },
        1,
    );
    assert_eq!(setup.append(&chaos).await?, (Retry::Unknown, Seq(1)));
    chaos.settle().await;
    assert_eq!(setup.head().await?, Seq(2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_late_append_never_is_once_the_head_has_moved() -> Result<(), PortError> {
    let mut setup = Setup::new().await?;
    let chaos = setup.chaos(
        ChaosConfig {
            apply_late: 1.0,
            ..PAUSE
        },
        1,
    );
    let mut other = setup.writer.clone();
    assert_eq!(setup.append(&chaos).await?, (Retry::Unknown, Seq(1)));
    write(&*setup.memory, other.message("ann", &[])).await?;
    let append = other.message("ann", &[]);
    write(&*setup.memory, append).await?;
    chaos.settle().await;
    assert_eq!(setup.head().await?, Seq(3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_ends_with_the_decorator() -> Result<(), PortError> {
    let mut setup = Setup::new().await?;
    let chaos = setup.chaos(
        ChaosConfig {
            apply_late: 1.0,
            ..PAUSE
        },
        1,
    );
    setup.append(&chaos).await?;
    drop(chaos);
    tokio::time::sleep(PAUSE_MAX * 100).await;
    assert_eq!(setup.head().await?, Seq(1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reads_fail_safely() -> Result<(), PortError> {
    let setup = Setup::new().await?;
    let config = ChaosConfig {
        fail: 1.0,
        lose_answer: 1.0,
        ..PAUSE
    };
    let inbox: Arc<dyn InboxStore> = Arc::<MemoryStore>::clone(&setup.memory);
    let chaos = Chaos::new(inbox, config, 1);
    let error = chaos
        .large_channels(&user("ann"))
        .await
        .expect_err("always");
    assert_eq!(
        (error.retry(), error.op()),
        (Retry::Safe, "inbox.large_channels")
    );
    Ok(())
}

/// What 200 appends and their reads come to, with the time that they take.
async fn run(seed: u64) -> Result<Vec<String>, PortError> {
    let began = tokio::time::Instant::now();
    let mut setup = Setup::new().await?;
    let chaos = setup.chaos(ChaosConfig::storm(PAUSE_MAX), seed);
    let mut story = Vec::new();
    for _ in 0..200 {
        let mut next = setup.writer.clone();
        let result = chaos.append(next.message("ann", &[])).await;
        if setup.head().await? == next.head().seq {
            setup.writer = next;
        }
        story.push(format!(
            "{result:?} {:?} {:?}",
            setup.head().await?,
            began.elapsed()
        ));
    }
    chaos.settle().await;
    Ok(story)
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_run() -> Result<(), PortError> {
    let first = run(7).await?;
    for kind in [
        "Appended",
        "failed",
        "lost the request",
        "lost the answer",
        "put off",
    ] {
        assert!(first.iter().any(|line| line.contains(kind)), "no {kind}");
    }
    assert_eq!(first, run(7).await?);
    assert_ne!(first, run(8).await?);
    Ok(())
}

/// The numbers of the envelopes that arrive of 300 sent.
async fn arrivals(config: ChaosConfig) -> Result<Vec<usize>, PortError> {
    let chaos = Chaos::<dyn Router>::new(Arc::new(MemoryRouter::new()), config, 3);
    let (from, to) = (NodeId::new("a"), NodeId::new("b"));
    let mut feed = chaos.join(&to).await?;
    for number in 0..300 {
        let payload = Payload::Typing {
            channel: ChannelId::external("room"),
            user: user(&number.to_string()),
            recipients: Vec::new(),
        };
        let envelope = Envelope {
            from: from.clone(),
            payload,
        };
        chaos.publish(&to, Arc::new(envelope)).await?;
    }
    chaos.leave(&to).await?;
    let mut numbers = Vec::new();
    while let Some(envelope) = feed.recv().await {
        match &envelope.payload {
            Payload::Typing { user, .. } => {
                numbers.push(user.as_str().parse().expect("a number was sent"));
            }
            other => panic!("only typing was sent, not {other:?}"),
        }
    }
    Ok(numbers)
}

#[tokio::test(start_paused = true)]
async fn envelopes_keep_their_order() -> Result<(), PortError> {
    let began = tokio::time::Instant::now();
    let delayed = arrivals(ChaosConfig {
        delay_envelope: 0.5,
        ..PAUSE
    })
    .await?;
    assert_eq!(delayed, (0..300).collect::<Vec<_>>());
    assert!(began.elapsed() > PAUSE_MAX, "some came late");
    let lossy = arrivals(ChaosConfig {
        drop_envelope: 0.3,
        delay_envelope: 0.5,
        ..PAUSE
    })
    .await?;
    assert!(lossy.is_sorted_by(|a, b| a < b));
    assert!((100..300).contains(&lossy.len()), "{} arrived", lossy.len());
    Ok(())
}
