//! Proof of the `UserStore` contract: one case per sentence.

mod cases;

pub use cases::{
    a_forgotten_device_is_gone, an_empty_log_is_at_zero, devices_are_the_users_own,
    first_sight_makes_a_user, seeing_again_changes_only_the_time, users_survive_reopen,
};

#[doc(hidden)]
#[macro_export]
macro_rules! __user_store_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) user_store:
            first_sight_makes_a_user
            seeing_again_changes_only_the_time
            devices_are_the_users_own
            a_forgotten_device_is_gone
            an_empty_log_is_at_zero
            users_survive_reopen
        }
    };
}

crate::__user_store_cases! { __store_table }
