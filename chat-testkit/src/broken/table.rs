//! Which case catches which broken store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::inbox::{InboxTwist, TwistedInbox};
use super::messages::{MessagesTwist, TwistedMessages};
use super::users::{TwistedUsers, UsersTwist};
use super::{appends, bodies, copied as copies, people, reads, rows, views};
use chat_core::memory::MemoryStore;
use chat_core::ports::InboxStore;

use crate::factory::Stores;
use crate::fanned_out::FannedOut;
use crate::memory_stores::MemoryStores;

/// A broken store, and the case that must catch it.
#[derive(Clone, Copy)]
pub struct Broken {
    /// What is broken.
    pub name: &'static str,
    /// The case that catches it.
    pub caught_by: &'static str,
    /// Words of the message with which the case fails, so that it is not caught for another reason.
    pub law: &'static str,
    /// Makes what breaks stores that are sound; what it makes is asked again whenever the stores are opened again.
    pub wrap: fn() -> Wrap,
}

/// Breaks stores.
pub type Wrap = Arc<dyn Fn(Stores) -> Stores + Send + Sync>;

/// All of them.
pub const BROKEN: &[Broken] = &[
    Broken {
        name: "not_written_claimed_after_timeout",
        caught_by: "seq_is_contiguous_under_concurrent_writers",
        law: "failed as surely not applied is in the log",
        wrap: messages::<appends::NotWrittenClaimedAfterTimeout>,
    },
    Broken {
        name: "number_given_out_before_commit",
        caught_by: "append_refuses_a_moved_head",
        law: "leaves the head where it was",
        wrap: messages::<appends::NumberGivenOutBeforeCommit>,
    },
    Broken {
        name: "acknowledges_the_loser",
        caught_by: "one_of_two_racing_appends_wins",
        law: "exactly one of two appends",
        wrap: messages::<appends::AcknowledgesTheLoser>,
    },
    Broken {
        name: "claims_more_than_is_durable",
        caught_by: "append_is_prefix_atomic",
        law: "the log holds exactly what was acknowledged",
        wrap: messages::<appends::ClaimsMoreThanIsDurable>,
    },
    Broken {
        name: "tears_creation_from_first_message",
        caught_by: "creation_and_first_message_are_one_unit",
        law: "first two records are durable together",
        wrap: messages::<appends::TearsCreationFromFirstMessage>,
    },
    Broken {
        name: "known_key_appended_again",
        caught_by: "append_refuses_a_known_key",
        law: "of a known key is refused",
        wrap: messages::<appends::KnownKeyAppendedAgain>,
    },
    Broken {
        name: "keys_of_any_sender",
        caught_by: "keys_are_apart_by_sender_and_channel",
        law: "a key is its sender's only",
        wrap: messages::<reads::KeysOfAnySender>,
    },
    Broken {
        name: "lost_on_reopen",
        caught_by: "acknowledged_survives_reopen",
        law: "the log after reopening",
        wrap: lost_on_reopen,
    },
    Broken {
        name: "cuts_long_bodies",
        caught_by: "long_bodies_return_exactly",
        law: "a body of 100,000 characters returns exactly",
        wrap: messages::<appends::CutsLongBodies>,
    },
    Broken {
        name: "ends_text_at_zero",
        caught_by: "hostile_bodies_return_exactly",
        law: "a hostile text returns exactly",
        wrap: messages::<appends::EndsTextAtZero>,
    },
    Broken {
        name: "forgets_unknown_fields",
        caught_by: "unknown_kinds_are_kept",
        law: "an entry of an unknown kind returns exactly",
        wrap: messages::<appends::ForgetsUnknownFields>,
    },
    Broken {
        name: "visible_out_of_order",
        caught_by: "visible_only_in_order",
        law: "seq is contiguous and n counts messages",
        wrap: messages::<appends::VisibleOutOfOrder>,
    },
    Broken {
        name: "head_apart_from_entries",
        caught_by: "reads_see_what_was_acknowledged",
        law: "entries show what was acknowledged",
        wrap: messages::<reads::HeadApartFromEntries>,
    },
    Broken {
        name: "pages_off_by_one",
        caught_by: "pages_are_contiguous",
        law: "contiguous from the entry behind",
        wrap: messages::<reads::PagesOffByOne>,
    },
    Broken {
        name: "pages_by_message_id",
        caught_by: "pages_are_contiguous",
        law: "contiguous from the entry behind",
        wrap: messages::<reads::PagesByMessageId>,
    },
    Broken {
        name: "bytes_forgotten",
        caught_by: "pages_respect_bytes_and_hold_one",
        law: "bytes at the most holds",
        wrap: messages::<reads::BytesForgotten>,
    },
    Broken {
        name: "more_forgotten",
        caught_by: "message_pages_are_exact",
        law: "tells whether",
        wrap: messages::<reads::MoreForgotten>,
    },
    Broken {
        name: "state_behind_the_log",
        caught_by: "load_folds_to_the_log",
        law: "folds to the log's state",
        wrap: messages::<reads::StateBehindTheLog>,
    },
    Broken {
        name: "loads_without_keys",
        caught_by: "loaded_records_carry_their_keys",
        law: "loaded with the keys",
        wrap: messages::<reads::LoadsWithoutKeys>,
    },
    Broken {
        name: "keys_forgotten",
        caught_by: "find_key_searches_exactly_the_range",
        law: "a key is found in",
        wrap: messages::<reads::KeysForgotten>,
    },
    Broken {
        name: "range_off_by_one",
        caught_by: "find_key_searches_exactly_the_range",
        law: "a key is found in",
        wrap: messages::<reads::RangeOffByOne>,
    },
    Broken {
        name: "forgets_departures",
        caught_by: "members_follow_the_log",
        law: "the members listed are those of the log",
        wrap: messages::<appends::ForgetsDepartures>,
    },
    Broken {
        name: "member_pages_repeat",
        caught_by: "member_pages_are_exact",
        law: "a page",
        wrap: messages::<views::MemberPagesRepeat>,
    },
    Broken {
        name: "successor_by_name",
        caught_by: "successor_is_longest_standing",
        law: "the longest-standing admin",
        wrap: messages::<views::SuccessorByName>,
    },
    Broken {
        name: "leaks_across_channels",
        caught_by: "channels_are_isolated",
        law: "each channel has its own keys",
        wrap: messages::<reads::LeaksAcrossChannels>,
    },
    Broken {
        name: "heads_without_the_absent",
        caught_by: "an_absent_channel_is_empty",
        law: "heads come in the order asked",
        wrap: messages::<views::HeadsWithoutTheAbsent>,
    },
    Broken {
        name: "epoch_drawn_anew",
        caught_by: "epoch_outlives_reopen",
        law: "the epoch outlives",
        wrap: messages::<views::EpochDrawnAnew>,
    },
    Broken {
        name: "forgets_departures_in_inboxes",
        caught_by: "inbox_lists_own_channels_only",
        law: "lists the channels that its user is in",
        wrap: messages::<appends::ForgetsDepartures>,
    },
    Broken {
        name: "skips_ties",
        caught_by: "inbox_pages_in_order_without_gap",
        law: "list every channel once",
        wrap: inbox::<rows::SkipsTies>,
    },
    Broken {
        name: "inbox_behind_the_log",
        caught_by: "inbox_follows_the_log",
        law: "a row's head is the log's",
        wrap: inbox::<rows::InboxBehindTheLog>,
    },
    Broken {
        name: "marks_fall",
        caught_by: "marks_never_fall",
        law: "never falls",
        wrap: inbox::<rows::MarksFall>,
    },
    Broken {
        name: "raising_adds_up",
        caught_by: "raising_twice_is_once",
        law: "raising a mark twice is raising it once",
        wrap: inbox::<rows::RaisingAddsUp>,
    },
    Broken {
        name: "marks_lost_on_reopen",
        caught_by: "marks_survive_reopen",
        law: "an acknowledged mark is there after reopening",
        wrap: inbox::<rows::MarksLostOnReopen>,
    },
    Broken {
        name: "shows_private_rises",
        caught_by: "a_private_rise_is_not_shown",
        law: "shown the former mark",
        wrap: inbox::<rows::ShowsPrivateRises>,
    },
    Broken {
        name: "drops_private_rises",
        caught_by: "a_private_rise_is_not_shown",
        law: "raises its user's row",
        wrap: inbox::<rows::DropsPrivateRises>,
    },
    Broken {
        name: "hides_for_ever",
        caught_by: "a_public_rise_shows_again",
        law: "is shown as far as it goes",
        wrap: inbox::<rows::HidesForEver>,
    },
    Broken {
        name: "own_message_always_read",
        caught_by: "own_message_is_read_when_all_before_was",
        law: "and only then: something before was not read",
        wrap: own_message_always_read,
    },
    Broken {
        name: "counts_entries_as_messages",
        caught_by: "unread_is_arithmetic",
        law: "unread is the messages between",
        wrap: inbox::<rows::CountsEntriesAsMessages>,
    },
    Broken {
        name: "new_members_have_all_unread",
        caught_by: "a_new_member_has_nothing_unread",
        law: "read mark is at the entry that added them",
        wrap: inbox::<rows::NewMembersHaveAllUnread>,
    },
    Broken {
        name: "counts_mentions_twice",
        caught_by: "mentions_count_once",
        law: "once each",
        wrap: inbox::<rows::CountsMentionsTwice>,
    },
    Broken {
        name: "shows_what_is_not_visible",
        caught_by: "last_respects_the_visible_range",
        law: "newest message that its user may see",
        wrap: shows_what_is_not_visible,
    },
    Broken {
        name: "left_since_is_exclusive",
        caught_by: "left_names_what_was_left",
        law: "the channels left since",
        wrap: inbox::<rows::LeftSinceIsExclusive>,
    },
    Broken {
        name: "marks_lift_everybody",
        caught_by: "a_mark_is_activity_of_its_owner",
        law: "no activity of another's row",
        wrap: inbox::<rows::MarksLiftEverybody>,
    },
    Broken {
        name: "last_told_wins",
        caught_by: "updates_converge_in_any_order",
        law: "updates lead to the same row",
        wrap: copied::<copies::LastToldWins>,
    },
    Broken {
        name: "copies_once",
        caught_by: "a_replaced_copy_is_in_no_read",
        law: "a copy that was replaced or erased is in no read",
        wrap: copied::<copies::CopiesOnce>,
    },
    Broken {
        name: "keeps_large_rows",
        caught_by: "rows_of_large_channels_are_read_on_request",
        law: "shows what the log holds when it is asked for",
        wrap: copied::<copies::KeepsLargeRows>,
    },
    Broken {
        name: "takes_marks_of_the_living",
        caught_by: "fan_out_marks_outlive_their_owner",
        law: "once its owner's lease has ended",
        wrap: copied::<copies::TakesMarksOfTheLiving>,
    },
    Broken {
        name: "epoch_of_users_drawn_anew",
        caught_by: "the_epoch_of_users_outlives_reopen",
        law: "the epoch outlives",
        wrap: users::<views::EpochDrawnAnew>,
    },
    Broken {
        name: "nameless_at_first_sight",
        caught_by: "first_sight_makes_a_user",
        law: "the first sight makes the user known",
        wrap: users::<people::NamelessAtFirstSight>,
    },
    Broken {
        name: "devices_anew_at_every_sight",
        caught_by: "seeing_again_changes_only_the_time",
        law: "changes only its time",
        wrap: users::<people::DevicesAnewAtEverySight>,
    },
    Broken {
        name: "devices_by_id",
        caught_by: "devices_are_the_users_own",
        law: "oldest first",
        wrap: users::<people::DevicesById>,
    },
    Broken {
        name: "keeps_forgotten_devices",
        caught_by: "a_forgotten_device_is_gone",
        law: "forgetting tells whether there was such a device",
        wrap: users::<people::KeepsForgottenDevices>,
    },
    Broken {
        name: "silent_about_devices",
        caught_by: "devices_are_told_by_the_log",
        law: "first sight and its end are entries",
        wrap: users::<people::SilentAboutDevices>,
    },
    Broken {
        name: "user_seq_from_one",
        caught_by: "an_empty_log_is_at_zero",
        law: "the user's log is empty",
        wrap: users::<people::UserSeqFromOne>,
    },
    Broken {
        name: "user_seq_behind_the_log",
        caught_by: "user_seq_is_the_end_of_the_log",
        law: "user_seq is the seq of the last entry",
        wrap: users::<people::UserSeqBehindTheLog>,
    },
    Broken {
        name: "holes_in_the_users_log",
        caught_by: "the_users_log_is_contiguous",
        law: "contiguous from 1 whoever writes",
        wrap: users::<people::HolesInTheUsersLog>,
    },
    Broken {
        name: "one_log_for_all",
        caught_by: "logs_are_the_users_own",
        law: "written for its user only",
        wrap: users::<people::OneLogForAll>,
    },
    Broken {
        name: "user_pages_off_by_one",
        caught_by: "pages_of_the_users_log_are_exact",
        law: "starts right behind",
        wrap: users::<people::UserPagesOffByOne>,
    },
    Broken {
        name: "user_page_bytes_forgotten",
        caught_by: "pages_of_the_users_log_are_exact",
        law: "holds what",
        wrap: users::<people::UserPageBytesForgotten>,
    },
    Broken {
        name: "tells_only_who_did_it",
        caught_by: "a_write_answers_what_it_wrote",
        law: "answered exactly the entries",
        wrap: users::<people::TellsOnlyWhoDidIt>,
    },
    Broken {
        name: "writes_drafts_again",
        caught_by: "what_is_so_already_adds_no_entry",
        law: "what is so already adds no entry",
        wrap: users::<people::WritesDraftsAgain>,
    },
    Broken {
        name: "asks_on_one_side",
        caught_by: "putting_asks_and_then_accepts",
        law: "both lists show it",
        wrap: users::<people::AsksOnOneSide>,
    },
    Broken {
        name: "removes_one_side",
        caught_by: "removing_ends_it_on_both_sides",
        law: "removing ends it on both sides",
        wrap: users::<people::RemovesOneSide>,
    },
    Broken {
        name: "asks_by_an_old_look",
        caught_by: "two_who_put_each_other_at_once_are_contacts",
        law: "two who put each other at once are contacts",
        wrap: users::<people::AsksByAnOldLook>,
    },
    Broken {
        name: "drops_what_the_blocked_ask",
        caught_by: "the_blocked_cannot_tell",
        law: "the blocked sees what anybody would",
        wrap: users::<people::DropsWhatTheBlockedAsk>,
    },
    Broken {
        name: "contact_pages_skip",
        caught_by: "contacts_are_listed_in_pages",
        law: "list every contact once",
        wrap: users::<people::ContactPagesSkip>,
    },
    Broken {
        name: "block_pages_end_early",
        caught_by: "blocks_are_listed_in_pages",
        law: "list everybody who is blocked once",
        wrap: users::<people::BlockPagesEndEarly>,
    },
    Broken {
        name: "hides_blocks_of_others",
        caught_by: "relations_show_both_sides",
        law: "the blocks of both sides",
        wrap: users::<people::HidesBlocksOfOthers>,
    },
    Broken {
        name: "takes_relations_to_oneself",
        caught_by: "nobody_is_related_to_themselves",
        law: "a relation to oneself is misuse",
        wrap: users::<people::TakesRelationsToOneself>,
    },
    Broken {
        name: "replaces_preferences",
        caught_by: "preferences_merge_by_field",
        law: "preferences change by field",
        wrap: users::<people::ReplacesPreferences>,
    },
    Broken {
        name: "keeps_former_drafts",
        caught_by: "only_the_current_draft_is_in_the_log",
        law: "only while it is the current one",
        wrap: users::<people::KeepsFormerDrafts>,
    },
    Broken {
        name: "preferences_of_all",
        caught_by: "preferences_are_the_users_own",
        law: "where there are some",
        wrap: users::<people::PreferencesOfAll>,
    },
    Broken {
        name: "profiles_fall_back",
        caught_by: "a_profile_changes_by_field",
        law: "a profile changes by field",
        wrap: users::<people::ProfilesFallBack>,
    },
    Broken {
        name: "status_without_text",
        caught_by: "a_status_is_kept_and_not_logged",
        law: "kept as it was given",
        wrap: users::<people::StatusWithoutText>,
    },
    Broken {
        name: "statuses_without_revs",
        caught_by: "each_status_has_a_higher_rev",
        law: "a higher rev than the one before",
        wrap: users::<people::StatusesWithoutRevs>,
    },
    Broken {
        name: "targets_without_pins",
        caught_by: "targets_follow_the_log",
        law: "a target is what was done to it",
        wrap: messages::<bodies::TargetsWithoutPins>,
    },
    Broken {
        name: "last_set_wins",
        caught_by: "bodies_converge_in_any_order",
        law: "end with the highest revision",
        wrap: messages::<bodies::LastSetWins>,
    },
    Broken {
        name: "edits_keep_their_bodies",
        caught_by: "an_edit_carries_its_body_while_it_is_current",
        law: "while it is the current one",
        wrap: messages::<bodies::EditsKeepTheirBodies>,
    },
    Broken {
        name: "copies_as_sent",
        caught_by: "a_superseded_body_is_in_no_read",
        law: "a superseded body is in no read",
        wrap: messages::<bodies::CopiesAsSent>,
    },
    Broken {
        name: "bodies_set_later",
        caught_by: "an_append_sets_bodies_at_once",
        law: "as soon as its append is acknowledged",
        wrap: messages::<bodies::BodiesSetLater>,
    },
    Broken {
        name: "head_after_annotations",
        caught_by: "annotations_are_exact",
        law: "as of",
        wrap: messages::<bodies::HeadAfterAnnotations>,
    },
    Broken {
        name: "counts_what_is_withheld",
        caught_by: "annotations_leave_out_what_is_withheld",
        law: "shows the reactions, pin and replies",
        wrap: messages::<bodies::CountsWhatIsWithheld>,
    },
    Broken {
        name: "forgets_that_it_is_withheld",
        caught_by: "withheld_is_kept",
        law: "whether an entry is withheld is kept",
        wrap: messages::<bodies::ForgetsThatItIsWithheld>,
    },
    Broken {
        name: "notes_in_memory",
        caught_by: "body_notes_last_until_dropped",
        law: "until it is dropped",
        wrap: messages::<bodies::NotesInMemory>,
    },
    Broken {
        name: "mentions_of_the_erased",
        caught_by: "an_erased_message_mentions_nobody",
        law: "an erased message mentions nobody",
        wrap: mentions_of_the_erased,
    },
    Broken {
        name: "last_as_sent",
        caught_by: "last_follows_edits_and_deletions",
        law: "the body that the message now has",
        wrap: last_as_sent,
    },
    Broken {
        name: "withheld_is_activity",
        caught_by: "what_is_withheld_raises_nothing",
        law: "raises the head alone",
        wrap: withheld_is_activity,
    },
    Broken {
        name: "lists_what_is_withheld",
        caught_by: "a_channel_of_withheld_entries_is_not_listed",
        law: "once it holds something for its member",
        wrap: lists_what_is_withheld,
    },
    Broken {
        name: "users_lost_on_reopen",
        caught_by: "users_survive_reopen",
        law: "what was acknowledged of a user",
        wrap: lost_on_reopen,
    },
];

fn messages<T: MessagesTwist + Default>() -> Wrap {
    Arc::new(|stores| {
        let inner = Arc::clone(stores.messages());
        stores.with_messages(Arc::new(TwistedMessages::new(inner, T::default())))
    })
}

fn inbox<T: InboxTwist + Default>() -> Wrap {
    Arc::new(|stores| {
        let inner = Arc::clone(stores.inbox());
        stores.with_inbox(Arc::new(TwistedInbox::new(inner, T::default())))
    })
}

/// In place of the stores that derive their rows, others that are told them.
fn copied<T: InboxTwist + Default>() -> Wrap {
    let store = Arc::new(MemoryStore::key_value());
    let twisted: Arc<dyn InboxStore> = Arc::new(TwistedInbox::new(store.clone(), T::default()));
    Arc::new(move |_| {
        let messages = FannedOut::over(store.clone(), Arc::clone(&twisted));
        Stores::new(messages).with_inbox(Arc::clone(&twisted))
    })
}

fn users<T: UsersTwist + Default>() -> Wrap {
    Arc::new(|stores| {
        let inner = Arc::clone(stores.users());
        stores.with_users(Arc::new(TwistedUsers::new(inner, T::default())))
    })
}

/// Opened again, the stores are empty.
fn lost_on_reopen() -> Wrap {
    let opened = AtomicBool::new(false);
    Arc::new(move |stores| {
        if opened.swap(true, Ordering::SeqCst) {
            MemoryStores::with_key_search().empty()
        } else {
            stores
        }
    })
}

fn by_the_letter(what: bodies::ByTheLetter) -> Wrap {
    Arc::new(move |stores| {
        let twist = bodies::RowsByTheLetter::new(Arc::clone(stores.messages()), what);
        let inner = Arc::clone(stores.inbox());
        stores.with_inbox(Arc::new(TwistedInbox::new(inner, twist)))
    })
}

fn mentions_of_the_erased() -> Wrap {
    by_the_letter(bodies::ByTheLetter::Mentions)
}

fn withheld_is_activity() -> Wrap {
    by_the_letter(bodies::ByTheLetter::Activity)
}

fn last_as_sent() -> Wrap {
    Arc::new(|stores| {
        let copies = bodies::CopiesAsSent::default();
        let notes = bodies::NotesWhatWasSent(copies.clone());
        let messages = Arc::clone(stores.messages());
        let inbox = Arc::clone(stores.inbox());
        stores
            .with_messages(Arc::new(TwistedMessages::new(messages, notes)))
            .with_inbox(Arc::new(TwistedInbox::new(inbox, copies)))
    })
}

fn lists_what_is_withheld() -> Wrap {
    Arc::new(|stores| {
        let twist = bodies::ListsWhatIsWithheld::default();
        let messages = Arc::clone(stores.messages());
        let inbox = Arc::clone(stores.inbox());
        stores
            .with_messages(Arc::new(TwistedMessages::new(messages, twist.clone())))
            .with_inbox(Arc::new(TwistedInbox::new(inbox, twist)))
    })
}

fn own_message_always_read() -> Wrap {
    Arc::new(|stores| {
        let twist = rows::OwnMessageAlwaysRead::new(Arc::clone(stores.inbox()));
        let inner = Arc::clone(stores.messages());
        stores.with_messages(Arc::new(TwistedMessages::new(inner, twist)))
    })
}

fn shows_what_is_not_visible() -> Wrap {
    Arc::new(|stores| {
        let twist = rows::ShowsWhatIsNotVisible::new(Arc::clone(stores.messages()));
        let inner = Arc::clone(stores.inbox());
        stores.with_inbox(Arc::new(TwistedInbox::new(inner, twist)))
    })
}
