//! All that a run left behind, held to the laws.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chat_core::ports::{EntriesQuery, MessageStore, PageLimit};
use chat_core::proto::channel::{Member, MemberChange, evolve, member_changes, unread};
use chat_core::proto::{ChannelId, ChannelState, Entry, EntryKind, Head, Seq, UserId};

use super::device::Device;
use super::fleet::Ports;
use super::journal::Journal;
use crate::history::{ChannelLog, DeviceLog, History, Law, Report};

/// Entries of a page while the log is read.
const PAGE_ENTRIES: usize = 500;
/// More notes than a run leaves.
const NOTES_MAX: usize = 10_000;

/// What must hold besides the laws of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// One of the laws of a history.
    Law(Law),
    /// Whoever acts in a channel is a member at that place of its log.
    OnlyMembersAct,
    /// A device gets nothing from before or after its user's membership.
    OnlyMembersHear,
    /// A command has one result, however often it is sent.
    OneAnswer,
    /// An answer is of the kind that was asked for.
    AnswersFitRequests,
    /// The entries of a page follow each other.
    PagesAreContiguous,
    /// Nothing is done to a message that was deleted.
    NothingFollowsADeletion,
    /// A message's body is the one of the last entry that set it, and who was told that it is erased was told the truth.
    BodiesFollowTheLog,
    /// A row's unread count is the number of messages behind its mark.
    UnreadCounts,
    /// Every command is answered and everything comes to rest.
    EverythingEnds,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Breach {
    /// Which.
    pub rule: Rule,
    /// Where, and how.
    pub detail: String,
}

impl Breach {
    pub(super) fn new(rule: Rule, detail: String) -> Self {
        Self { rule, detail }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The run's seed.
    pub seed: u64,
    /// What was counted.
    pub report: Report,
    /// Everything that was broken.
    pub breaches: Vec<Breach>,
}

impl Verdict {
    /// Whether this rule was broken.
    pub fn broke(&self, rule: Rule) -> bool {
        self.breaches.iter().any(|breach| breach.rule == rule)
    }

    /// Whether nothing was.
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty()
    }

    /// Panics unless everything held.
    ///
    /// # Panics
    /// With all that was broken.
    pub fn assert_clean(&self) {
        let seed = self.seed;
        assert!(
            self.is_clean(),
            "seed {seed} (repeat it with CHAT_SEED={seed}): {self}"
        );
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)?;
        for breach in &self.breaches {
            write!(f, "\n  {:?}: {}", breach.rule, breach.detail)?;
        }
        Ok(())
    }
}

pub(super) async fn judge(
    seed: u64,
    ports: &Ports,
    channel: ChannelId,
    journal: &Journal,
    devices: &[Device],
    mut breaches: Vec<Breach>,
) -> Verdict {
    let entries = log_of(ports.messages.as_ref(), channel).await;
    let (found, sent) = journal.finish();
    breaches.extend(found);
    let memberships = Memberships::of(channel, &entries, &mut breaches);
    let mut history = History {
        sent,
        server: vec![ChannelLog::new(channel, &entries)],
        devices: Vec::new(),
        every_message_is_recorded: true,
    };
    for device in devices {
        breaches.extend(device.breaches.iter().cloned());
        memberships.check_sighted(channel, device, &mut breaches);
        history
            .devices
            .extend(memberships.device_log(channel, device));
    }
    let report = history.check();
    for violation in &report.violations {
        breaches.push(Breach::new(Rule::Law(violation.law), violation.to_string()));
    }
    check_inbox(ports, channel, &entries, &memberships, &mut breaches).await;
    check_deletions(&entries, &mut breaches);
    let told = journal.told_erased();
    check_bodies(ports, channel, &entries, &told, &mut breaches).await;
    Verdict {
        seed,
        report,
        breaches,
    }
}

/// The whole log, page by page.
pub(super) async fn log_of(store: &dyn MessageStore, channel: ChannelId) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let query = EntriesQuery {
            channel,
            after: entries.last().map_or(Seq(0), |last| last.seq),
            limit: PageLimit {
                entries: PAGE_ENTRIES,
                bytes: usize::MAX,
            },
        };
        let page = store.entries(query).await.expect("the weather is calm now");
        if page.entries.is_empty() {
            return entries;
        }
        entries.extend(page.entries);
    }
}

/// Who was a member when.
struct Memberships {
    /// What each user may see, one range a membership; the last one is open while they are in.
    ranges: BTreeMap<UserId, Vec<(Seq, Option<Seq>)>>,
    now: BTreeMap<UserId, Member>,
}

impl Memberships {
    /// By folding the log, which also tells who acted without being one.
    fn of(channel: ChannelId, entries: &[Entry], breaches: &mut Vec<Breach>) -> Self {
        let mut state = ChannelState::empty(channel);
        let mut memberships = Self {
            ranges: BTreeMap::new(),
            now: BTreeMap::new(),
        };
        // Behind a hole nothing can be folded; that there is one is found elsewhere.
        let places = entries.iter().zip(1..);
        let contiguous = places.take_while(|(entry, place)| entry.seq == Seq(*place));
        for (entry, _) in contiguous {
            if entry.seq > Seq(1) && !memberships.now.contains_key(&entry.from) {
                let detail = format!("{} by {}, who is no member there", entry.seq, entry.from);
                breaches.push(Breach::new(Rule::OnlyMembersAct, detail));
            }
            let changes = member_changes(&state, entry);
            evolve(&mut state, entry, None);
            for change in &changes {
                memberships.apply(change, entry.seq);
            }
            if !state.is_large() && state.roster().is_none() {
                state.adopt_roster(memberships.now.clone());
            }
        }
        memberships
    }

    fn apply(&mut self, change: &MemberChange, seq: Seq) {
        let ranges = self.ranges.entry(change.user().clone()).or_default();
        change.apply_to(&mut self.now);
        match change {
            MemberChange::Joined { visible_from, .. } => ranges.push((*visible_from, None)),
            MemberChange::Left { .. } => {
                if let Some(last) = ranges.last_mut() {
                    last.1 = Some(seq);
                }
            }
            MemberChange::Role { .. } => {}
        }
    }

    /// Whatever came to the device, by whatever way, lies in one of its user's ranges.
    fn check_sighted(&self, channel: ChannelId, device: &Device, breaches: &mut Vec<Breach>) {
        let Some(held) = device.logs.get(&channel) else {
            return;
        };
        let empty = Vec::new();
        let ranges = self.ranges.get(&device.user).unwrap_or(&empty);
        for seq in &held.sighted {
            let is_seen = ranges
                .iter()
                .any(|(from, to)| seq >= from && to.is_none_or(|to| *seq <= to));
            if !is_seen {
                let detail = format!(
                    "{} of {} got {seq}, which lies outside of {ranges:?}",
                    device.device, device.user
                );
                breaches.push(Breach::new(Rule::OnlyMembersHear, detail));
            }
        }
    }

    /// What the device must have. Who is no longer in need not have heard of it.
    fn device_log(&self, channel: ChannelId, device: &Device) -> Option<DeviceLog> {
        let held = device.logs.get(&channel);
        let entries = held.map(|held| held.entries().to_vec()).unwrap_or_default();
        let (visible_from, through) = match self.now.get(&device.user) {
            Some(member) => (member.visible_from, None),
            None => (held?.visible_from, Some(held?.cursor())),
        };
        Some(DeviceLog {
            user: device.user.clone(),
            device: device.device,
            channel,
            visible_from,
            through,
            entries,
        })
    }
}

async fn check_inbox(
    ports: &Ports,
    channel: ChannelId,
    entries: &[Entry],
    memberships: &Memberships,
    breaches: &mut Vec<Breach>,
) {
    let head = entries.last().map_or(Head::EMPTY, Entry::head);
    let everybody: BTreeSet<&UserId> = memberships.ranges.keys().collect();
    for user in everybody {
        let rows = ports.inbox.rows(user, &[channel]).await;
        let rows = rows.expect("the weather is calm now");
        let is_member = memberships.now.contains_key(user);
        if rows.len() != usize::from(is_member) {
            let detail = format!("{user} has {} rows, member: {is_member}", rows.len());
            breaches.push(Breach::new(Rule::UnreadCounts, detail));
        }
        for row in rows {
            let behind = entries
                .iter()
                .filter(|entry| entry.seq > row.read.seq && entry.kind.is_message())
                .count() as u64;
            if unread(row.head, row.read) != behind || row.head != head {
                let detail = format!(
                    "{user} has {} unread by arithmetic and {behind} by counting, head {:?} of {head:?}",
                    unread(row.head, row.read),
                    row.head
                );
                breaches.push(Breach::new(Rule::UnreadCounts, detail));
            }
        }
    }
}

fn check_deletions(entries: &[Entry], breaches: &mut Vec<Breach>) {
    let mut deleted = BTreeSet::new();
    for entry in entries {
        let Some(target) = entry.target() else {
            continue;
        };
        if deleted.contains(&target) {
            let detail = format!("{} at {} names {target}", entry.kind.name(), entry.seq);
            breaches.push(Breach::new(Rule::NothingFollowsADeletion, detail));
        }
        if matches!(entry.kind, EntryKind::Delete(_)) {
            deleted.insert(target);
        }
    }
}

/// A body that somebody was still to set when the run ended is under a note.
async fn check_bodies(
    ports: &Ports,
    channel: ChannelId,
    entries: &[Entry],
    told_erased: &BTreeSet<Seq>,
    breaches: &mut Vec<Breach>,
) {
    let notes = ports.messages.body_notes(NOTES_MAX).await;
    let notes = notes.expect("the weather is calm now");
    let noted: BTreeSet<Seq> = notes
        .into_iter()
        .filter(|note| note.channel == channel)
        .flat_map(|note| note.targets)
        .collect();
    let mut last: BTreeMap<Seq, &Entry> = BTreeMap::new();
    for entry in entries {
        if let EntryKind::Edit(edit) = &entry.kind {
            last.insert(edit.target, entry);
        } else if let EntryKind::Delete(delete) = &entry.kind {
            last.insert(delete.target, entry);
        }
    }
    for entry in entries {
        let Some(message) = entry.as_message() else {
            continue;
        };
        let set = last.get(&entry.seq);
        let erased = set.is_some_and(|set| matches!(set.kind, EntryKind::Delete(_)));
        let settled = message.rev == set.map(|set| set.seq) && message.erased == erased;
        let is_told = told_erased.contains(&entry.seq);
        if (!settled && !noted.contains(&entry.seq)) || (is_told && !message.erased) {
            let detail = format!(
                "{} has rev {:?}, erased {}; set by {:?}, told erased {is_told}",
                entry.seq,
                message.rev,
                message.erased,
                set.map(|set| set.seq)
            );
            breaches.push(Breach::new(Rule::BodiesFollowTheLog, detail));
        }
    }
}
