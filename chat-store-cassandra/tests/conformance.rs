//! The store held to the contract of its port, on a real cluster.

use cluster::UsualBuckets;

mod cluster;

chat_testkit::message_store_suite!(UsualBuckets);
