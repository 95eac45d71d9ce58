//! What inboxes promise beyond the port: own messages told in any order and at once, inboxes of thousands of channels, copies
//! that are gone from the table too, owners that are forgotten, and another life of the keyspace.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_core::ports::{
    FanOutMark, InboxPosition, InboxQuery, InboxRow, InboxStanding, InboxStore, InboxUpdate,
    MarkKind, MarkRise, PortError, RowUpdate,
};
use chat_proto::channel::{Member, Meta};
use chat_proto::entry::{Message, Posting};
use chat_proto::{
    Body, ChannelId, ChannelType, ClientId, Entry, EntryKind, Head, History, MessageId, Ordinal,
    Role, Seq, Timestamp, UserId,
};
use chat_store_cassandra::{CassandraStore, Config, draw_new_epoch};
use chat_testkit::broken::{InboxTwist, TwistedInbox};
use chat_testkit::names::{fresh_channel, fresh_node, fresh_user, fresh_users};
use chat_testkit::{FannedOut, LogWriter};
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use scylla::value::Row;
use uuid::Uuid;

mod cluster;

const FORMER: &str = "what nobody shall read any more";

/// Skips the test loudly where there is no cluster.
macro_rules! fresh_or_skip {
    () => {
        match cluster::fresh().await {
            Ok(config) => config,
            Err(skip) => {
                skip.announce();
                return;
            }
        }
    };
}

fn meta() -> Meta {
    Meta {
        channel_type: ChannelType::Group,
        title: None,
        topic: None,
        avatar: None,
        history: History::All,
        post: Posting::All,
        data: None,
        creator: "ann".parse().expect("a good name"),
        created_at: Timestamp(1),
        external_id: None,
    }
}

/// The message with this ordinal in a log that began with one entry.
fn at(n: u64) -> Head {
    Head::new(n + 1, n)
}

fn member() -> InboxStanding {
    InboxStanding::Member(Member {
        role: Role::Member,
        joined: Seq(1),
        visible_from: Seq(1),
    })
}

fn row_update(user: &UserId, head: Head) -> RowUpdate {
    RowUpdate {
        user: user.clone(),
        standing: Some(member()),
        peer: None,
        active_at: Some(Timestamp(head.seq.0)),
        messages: Vec::new(),
        own: Vec::new(),
        joined: (head == at(0)).then_some(head),
        mentions: Vec::new(),
        unmentioned: Vec::new(),
    }
}

fn update(channel: ChannelId, head: Head, row: RowUpdate) -> InboxUpdate {
    InboxUpdate {
        channel,
        head,
        meta: meta(),
        member_count: 2,
        large: false,
        rows: vec![row],
    }
}

fn own(channel: ChannelId, user: &UserId, n: u64) -> InboxUpdate {
    let own = vec![at(n)];
    let row = row_update(user, at(n));
    update(channel, at(n), RowUpdate { own, ..row })
}

fn message(seq: Seq, text: &str) -> Entry {
    let message = Message {
        client_id: ClientId::from_uuid(Uuid::from_u128(1)),
        body: Some(Body::text(text)),
        erased: false,
        rev: None,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    };
    Entry {
        seq,
        n: Ordinal(seq.0 - 1),
        message: MessageId(seq.0),
        at: Timestamp(seq.0),
        from: "ann".parse().expect("a good name"),
        device: None,
        withheld: false,
        kind: EntryKind::Message(message),
    }
}

async fn tell(store: &CassandraStore, update: InboxUpdate) {
    store.fan_out(update).await.expect("the store answers");
}

async fn row(store: &CassandraStore, user: &UserId, channel: ChannelId) -> InboxRow {
    let rows = store.rows(user, &[channel]).await;
    let mut rows = rows.expect("the store answers");
    rows.pop().expect("a member has a row")
}

async fn read_and_shown(store: &CassandraStore, user: &UserId, channel: ChannelId) -> (Head, Head) {
    let marks = store.marks(channel, std::slice::from_ref(user)).await;
    let marks = marks.expect("the store answers");
    (row(store, user, channel).await.read, marks[0].1.read)
}

/// All orders of a few.
fn permutations(of: &[u64]) -> Vec<Vec<u64>> {
    let mut all = Vec::new();
    for (place, first) in of.iter().enumerate() {
        let rest = [&of[..place], &of[place + 1..]].concat();
        let mut tails = permutations(&rest);
        tails.iter_mut().for_each(|tail| tail.insert(0, *first));
        all.extend(tails);
    }
    if all.is_empty() {
        vec![Vec::new()]
    } else {
        all
    }
}

/// The joining and own messages in each order, some again: the mark is at the last. Behind one that is not read it stays,
/// also when told again after the mark was raised to right before it.
#[tokio::test]
async fn own_messages_raise_the_mark_in_any_order() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let ann = fresh_user("ann");
    for order in permutations(&[0, 1, 2, 3]) {
        let channel = fresh_channel();
        for n in order.iter().chain(&order[..2]) {
            tell(&store, own(channel, &ann, *n)).await;
        }
        let marks = read_and_shown(&store, &ann, channel).await;
        assert_eq!(marks, (at(3), at(3)), "{order:?}");
    }
    let channel = fresh_channel();
    tell(&store, own(channel, &ann, 0)).await;
    tell(&store, own(channel, &ann, 2)).await;
    let rise = MarkRise {
        channel,
        user: ann.clone(),
        kind: MarkKind::Read,
        to: at(1),
        at: Timestamp(9),
        private: false,
    };
    store.raise(vec![rise]).await.expect("the store answers");
    tell(&store, own(channel, &ann, 2)).await;
    let marks = read_and_shown(&store, &ann, channel).await;
    assert_eq!(marks, (at(1), at(1)));
}

/// Many nodes tell of own messages at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_messages_told_at_once_all_count() {
    let config = fresh_or_skip!();
    let (one, other) = (
        cluster::store(&config).await,
        cluster::open(&config).await.expect("the store opens again"),
    );
    let ann = fresh_user("ann");
    for _ in 0..20 {
        let channel = fresh_channel();
        tell(&one, own(channel, &ann, 0)).await;
        let told = (1..=12).rev().map(|n| {
            let store = if n % 2 == 0 { &one } else { &other };
            tell(store, own(channel, &ann, n))
        });
        futures_util::future::join_all(told).await;
        let marks = read_and_shown(&one, &ann, channel).await;
        assert_eq!(marks, (at(12), at(12)));
        // What follows raises what was merged.
        tell(&other, own(channel, &ann, 13)).await;
        let marks = read_and_shown(&one, &ann, channel).await;
        assert_eq!(marks, (at(13), at(13)));
    }
}

/// A life with own messages, in every kind of order, some of it again: everybody's row is the same.
#[tokio::test]
async fn updates_of_a_whole_life_converge() {
    const ORDERS: u64 = 60;
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let (told, channel) = life(&alice, &bob).await;
    let mut expected: Vec<InboxRow> = Vec::new();
    for seed in 0..ORDERS {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut order: Vec<&InboxUpdate> = told.iter().collect();
        if seed > 0 {
            order.extend(told.choose_multiple(&mut random, told.len() / 3));
            order.shuffle(&mut random);
        }
        // The same rows, in a channel of which nobody has heard.
        let other = fresh_channel();
        for update in order {
            let channel = other;
            tell(
                &store,
                InboxUpdate {
                    channel,
                    ..update.clone()
                },
            )
            .await;
        }
        let mut rows = Vec::new();
        for user in [&alice, &bob] {
            let row = row(&store, user, other).await;
            let (_, shown) = read_and_shown(&store, user, other).await;
            assert_eq!(shown, row.read, "nothing is hidden");
            rows.push(InboxRow { channel, ..row });
        }
        if expected.is_empty() {
            expected.clone_from(&rows);
        }
        assert_eq!(rows, expected, "in the order of {seed}");
    }
    assert_eq!(expected[1].mentions, 1);
}

/// What a group tells in which two speak, one of them leaves and returns, and much is changed.
async fn life(alice: &UserId, bob: &UserId) -> (Vec<InboxUpdate>, ChannelId) {
    let recorder = Recorder::default();
    let store = Arc::new(MemoryStore::key_value());
    let inbox = TwistedInbox::new(store.clone(), recorder.clone());
    let messages = FannedOut::over(store, Arc::new(inbox));
    let bobs = std::slice::from_ref(bob);
    let mut writer = LogWriter::group_with(&messages, alice, bobs, History::Joined).await;
    writer.say(alice, "first").await;
    writer.say(bob, "behind what is not read").await;
    writer.say(bob, "again").await;
    let named = writer.mention(alice, bobs).await.seq;
    writer.delete(alice, named).await;
    writer.remove(alice, bobs).await;
    writer.say(alice, "among one").await;
    writer.add(alice, bobs, Role::Member).await;
    for number in 0..4 {
        writer.say(bob, format!("own {number}")).await;
    }
    writer.retitle(alice, "another title").await;
    writer.say(bob, "own, behind a title").await;
    writer.mention(alice, bobs).await;
    let last = writer.say(alice, "last").await.seq;
    writer.edit(alice, last, "last, edited").await;
    writer.edit(alice, last, "last, edited again").await;
    writer.promote(alice, bob, Role::Admin).await;
    writer.react(bob, last, "+", false).await;
    let told = recorder.0.lock().expect("nobody panicked").clone();
    (told, writer.channel())
}

/// Notes what inboxes are told.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<InboxUpdate>>>);

#[async_trait]
impl InboxTwist for Recorder {
    async fn fan_out(&self, inner: &dyn InboxStore, update: InboxUpdate) -> Result<(), PortError> {
        self.note(update.clone());
        inner.fan_out(update).await
    }
}

impl Recorder {
    fn note(&self, update: InboxUpdate) {
        let mut told = self.0.lock().expect("nobody panicked");
        told.push(update);
    }
}

/// More channels than one page of rows, listed page by page.
#[tokio::test]
async fn an_inbox_of_thousands_is_listed_in_order() {
    const CHANNELS: u64 = 2_300;
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let ann = fresh_user("ann");
    let updates = (0..CHANNELS).map(|number| {
        let seq = 2 + number * 7919 % 1_000;
        let head = Head::new(seq, seq - 1);
        let row = RowUpdate {
            messages: vec![message(head.seq, "hello")],
            ..row_update(&ann, head)
        };
        store.fan_out(update(fresh_channel(), head, row))
    });
    let updates: Vec<_> = updates.collect();
    let told = stream::iter(updates).buffer_unordered(32);
    told.try_collect::<()>().await.expect("the store answers");
    let (mut behind, mut seen) = (None, Vec::new());
    loop {
        let query = InboxQuery {
            user: ann.clone(),
            since: Some(Timestamp(500)),
            behind,
            limit: 400,
        };
        let page = store.list(query).await.expect("the store answers");
        seen.extend(page.rows.iter().map(|row| (row.activity, row.channel)));
        behind = page.rows.last().map(|row| InboxPosition {
            activity: row.activity,
            channel: row.channel,
        });
        if !page.more {
            break;
        }
    }
    assert!(seen.is_sorted_by(|one, next| one > next));
    let expected = (0..CHANNELS).filter(|number| 2 + number * 7919 % 1_000 >= 500);
    assert_eq!(seen.len(), expected.count());
}

/// A member who left, and members of a channel that became large, keep nothing of what is erased afterwards.
#[tokio::test]
async fn an_erased_copy_is_in_no_row() {
    let config = fresh_or_skip!();
    let store = Arc::new(cluster::store(&config).await);
    let messages = FannedOut::over(store.clone(), store.clone());
    let (alice, bob, carol) = (fresh_user("alice"), fresh_user("bob"), fresh_user("carol"));
    let members = [bob.clone(), carol.clone()];
    let bobs = std::slice::from_ref(&bob);
    let mut writer = LogWriter::group(&messages, &alice, &members).await;
    let said = writer.say(&alice, FORMER).await.seq;
    assert!(raw_rows(&config).await.contains(FORMER));
    writer.remove(&alice, bobs).await;
    let crowd = fresh_users("crowd", 110);
    writer.add(&alice, &crowd, Role::Member).await;
    assert!(writer.state().is_large());
    writer.delete(&alice, said).await;
    assert!(!raw_rows(&config).await.contains(FORMER));
    // Who returns is shown the log's newest message, also when the channel is small again.
    writer.remove(&alice, &crowd).await;
    assert!(!writer.state().is_large());
    writer.add(&alice, bobs, Role::Member).await;
    for user in [&alice, &bob, &carol] {
        let last = row(&store, user, writer.channel()).await.last;
        let last = last.expect("there is a message");
        assert_eq!(last.seq, said);
        let erased = last.as_message().map(|message| message.erased);
        assert_eq!(erased, Some(true));
    }
}

/// Every copy in the table, as text.
async fn raw_rows(config: &Config) -> String {
    let session = cluster::session(config).await;
    let cql = format!("SELECT copies FROM {}.inbox", config.keyspace);
    let rows = session.query_unpaged(cql, ()).await;
    let rows = rows.expect("the cluster answers").into_rows_result();
    let rows = rows.expect("there are rows");
    let copies = rows.rows::<(Option<std::collections::BTreeMap<i64, Vec<u8>>>,)>();
    let mut text = String::new();
    for (copies,) in copies.expect("they have copies").filter_map(Result::ok) {
        for copy in copies.into_iter().flatten() {
            text.push_str(&String::from_utf8_lossy(&copy.1));
        }
    }
    text
}

/// An owner that is long gone and left no marks is not asked about for ever, and is there again when it lives after all.
#[tokio::test]
async fn an_owner_without_marks_is_forgotten() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let (gone, owing) = (fresh_node("gone"), fresh_node("owing"));
    let ended = Timestamp(1_000_000);
    for owner in [&gone, &owing] {
        let renewed = store.renew_lease(owner, ended).await;
        renewed.expect("the store answers");
    }
    let mark = FanOutMark {
        owner: owing.clone(),
        channel: fresh_channel(),
        after: Seq(4),
    };
    let kept = store.keep_fan_out_marks(vec![mark.clone()]).await;
    kept.expect("the store answers");
    for (now, known) in [(ended.0 + 1, 2), (ended.0 + 3_600_000, 1)] {
        let orphaned = store.orphaned_fan_out_marks(Timestamp(now), 10).await;
        let orphaned = orphaned.expect("the store answers");
        assert_eq!(orphaned, std::slice::from_ref(&mark));
        assert_eq!(owners(&config).await, known);
    }
    let renewed = store
        .renew_lease(&gone, Timestamp(ended.0 + 7_200_000))
        .await;
    renewed.expect("the store answers");
    assert_eq!(owners(&config).await, 2);
}

async fn owners(config: &Config) -> usize {
    let session = cluster::session(config).await;
    let cql = format!(
        "SELECT owner FROM {}.leases WHERE shard = 0",
        config.keyspace
    );
    let rows = session.query_unpaged(cql, ()).await;
    let rows = rows.expect("the cluster answers").into_rows_result();
    let rows = rows.expect("there are rows");
    rows.rows::<Row>().expect("they are rows").count()
}

/// After a backup was restored logs may be shorter than what rows show: what is told then wins.
#[tokio::test]
async fn another_life_wins_over_a_former_one() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let (ann, channel) = (fresh_user("ann"), fresh_channel());
    for (n, text) in [(8, "of the former life"), (5, "of this life")] {
        let row = RowUpdate {
            messages: vec![message(at(n).seq, text)],
            ..row_update(&ann, at(n))
        };
        let store = if n == 8 {
            store.clone()
        } else {
            draw_new_epoch(&config).await.expect("an epoch is drawn");
            cluster::open(&config).await.expect("the store opens again")
        };
        tell(&store, update(channel, at(n), row)).await;
        let shown = row_of(&store, &ann, channel).await;
        assert_eq!(shown, (at(n), Some(Body::text(text))));
    }
}

async fn row_of(store: &CassandraStore, user: &UserId, channel: ChannelId) -> (Head, Option<Body>) {
    let row = row(store, user, channel).await;
    let last = row.last.as_ref().and_then(Entry::as_message);
    (row.head, last.and_then(|message| message.body.clone()))
}
