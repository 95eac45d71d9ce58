//! Proof of the `IdGenerator` contract: one case per sentence.

mod cases;
mod factory;

pub use cases::{
    never_repeats, refuses_beyond_its_lease, rises_above_previous, survives_a_clock_step_back,
    survives_an_exhausted_millisecond,
};
pub use factory::{IdGeneratorFactory, IdGeneratorSetup};

#[doc(hidden)]
#[macro_export]
macro_rules! __id_generator_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) id_generator:
            rises_above_previous
            never_repeats
            survives_a_clock_step_back
            survives_an_exhausted_millisecond
            refuses_beyond_its_lease
        }
    };
}

crate::__id_generator_cases! { __names }
