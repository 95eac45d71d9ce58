//! Proof of the `PresenceBus` contract: one case per sentence.

mod cases;
mod factory;

pub use cases::{
    a_stranger_cannot_take_back, announcing_twice_is_once, online_until_the_last_node_is_gone,
    states_in_order,
};
pub use factory::{OpenedPresenceBus, PresenceBusFactory, open};

#[doc(hidden)]
#[macro_export]
macro_rules! __presence_bus_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) presence_bus:
            online_until_the_last_node_is_gone
            announcing_twice_is_once
            a_stranger_cannot_take_back
            states_in_order
        }
    };
}

crate::__presence_bus_cases! { __names }
