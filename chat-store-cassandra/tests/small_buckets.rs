//! The contract again, with so few entries in a partition that every case crosses from one to the next many times.

use cluster::SmallBuckets;

mod cluster;

chat_testkit::message_store_suite!(SmallBuckets);
