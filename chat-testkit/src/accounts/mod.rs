//! Proof of the `Accounts` contract: one case per sentence.

mod cases;

pub use cases::{
    a_new_password_revokes_the_others, a_password_changes_only_from_the_one_compared,
    a_refused_sign_up_changes_nothing, a_token_makes_a_device, accounts_survive_reopen,
    names_are_never_reused, one_sign_up_wins, one_token_a_device, revoked_is_gone,
    revoking_one_spares_the_others,
};

#[doc(hidden)]
#[macro_export]
macro_rules! __accounts_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) accounts:
            one_sign_up_wins
            names_are_never_reused
            a_refused_sign_up_changes_nothing
            a_token_makes_a_device
            one_token_a_device
            revoked_is_gone
            revoking_one_spares_the_others
            a_new_password_revokes_the_others
            a_password_changes_only_from_the_one_compared
            accounts_survive_reopen
        }
    };
}

crate::__accounts_cases! { __store_table }
