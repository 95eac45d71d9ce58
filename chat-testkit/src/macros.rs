//! One line a port.

/// Mounts the suite of `MessageStore`: one test per sentence of its contract, in a module `message_store`.
///
/// The argument is an expression of a [`StoreFactory`](crate::StoreFactory), evaluated for each test.
#[macro_export]
macro_rules! message_store_suite {
    ($factory:expr) => {
        $crate::__message_store_cases! { __store_tests, $factory }
    };
}

/// Mounts the suite of `InboxStore`, in a module `inbox_store`; the factory opens a `MessageStore` over the same data.
#[macro_export]
macro_rules! inbox_store_suite {
    ($factory:expr) => {
        $crate::__inbox_store_cases! { __store_tests, $factory }
    };
}

/// Mounts the suite of `UserStore`, in a module `user_store`.
#[macro_export]
macro_rules! user_store_suite {
    ($factory:expr) => {
        $crate::__user_store_cases! { __store_tests, $factory }
    };
}

/// Mounts the suite of `Accounts`, in a module `accounts`; the factory opens a `UserStore` over the same data.
#[macro_export]
macro_rules! accounts_suite {
    ($factory:expr) => {
        $crate::__accounts_cases! { __store_tests, $factory }
    };
}

/// Mounts the suite of `IdGenerator`, in a module `id_generator`; takes an
/// [`IdGeneratorFactory`](crate::id_generator::IdGeneratorFactory).
#[macro_export]
macro_rules! id_generator_suite {
    ($factory:expr) => {
        $crate::__id_generator_cases! { __id_generator_tests, $factory }
    };
}

/// Mounts the suite of `PresenceBus`, in a module `presence_bus`; takes a
/// [`PresenceBusFactory`](crate::presence_bus::PresenceBusFactory).
#[macro_export]
macro_rules! presence_bus_suite {
    ($factory:expr) => {
        $crate::__presence_bus_cases! { __service_tests, $factory }
    };
}

/// Mounts the suite of `Router`, in a module `router`; takes a [`RouterFactory`](crate::router::RouterFactory).
#[macro_export]
macro_rules! router_suite {
    ($factory:expr) => {
        $crate::__router_cases! { __service_tests, $factory }
    };
}

/// Holds a `UserStore` to its model under random steps, in a test `user_store_model`; see [`models`](crate::models).
#[macro_export]
macro_rules! user_store_model {
    ($factory:expr) => {
        #[test]
        fn user_store_model() {
            $crate::models::user_store(&$factory);
        }
    };
}

/// Holds a `MessageStore` and the `InboxStore` over it to their model under random steps, in a test `log_store_model`.
#[macro_export]
macro_rules! log_store_model {
    ($factory:expr) => {
        #[test]
        fn log_store_model() {
            $crate::models::log_store(&$factory);
        }
    };
}

/// Holds a `PresenceBus` to its model under random steps, in a test `presence_bus_model`.
#[macro_export]
macro_rules! presence_bus_model {
    ($factory:expr) => {
        #[test]
        fn presence_bus_model() {
            $crate::models::presence_bus(&$factory);
        }
    };
}

/// Holds a `Router` to its model under random steps, in a test `router_model`.
#[macro_export]
macro_rules! router_model {
    ($factory:expr) => {
        #[test]
        fn router_model() {
            $crate::models::router(&$factory);
        }
    };
}

/// Has every reader of an engine over the stores read logs that no rule would have let happen, in a test
/// `hostile_entries`; see [`hostile`](crate::hostile).
#[macro_export]
macro_rules! hostile_entries {
    ($factory:expr) => {
        #[test]
        fn hostile_entries() {
            $crate::hostile::hostile_entries(&$factory);
        }
    };
}

// The lists of cases stand beside the cases, in macros that hand them to one of those below: to the table that the kit
// looks up cases in, or to the tests that an adapter mounts. So neither can know of a case that the other lacks.

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    (($factory:expr) $suite:ident: $($case:ident)*) => {
        mod $suite {
            #[allow(unused_imports, reason = "the factory may stand anywhere")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::case::run_on_stores(&$factory, $crate::$suite::$case);
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __service_tests {
    (($factory:expr) $suite:ident: $($case:ident)*) => {
        mod $suite {
            #[allow(unused_imports, reason = "the factory may stand anywhere")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    let factory = $factory;
                    $crate::case::run_on($crate::$suite::open(&factory), $crate::$suite::$case);
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __id_generator_tests {
    (($factory:expr) $suite:ident: $($case:ident)*) => {
        mod $suite {
            #[allow(unused_imports, reason = "the factory may stand anywhere")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::$suite::$case(&$factory);
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_table {
    (() $suite:ident: $($case:ident)*) => {
        /// The cases of the suite, by the names that the contract gives them.
        pub const CASES: &[$crate::case::StoreCase] = &[
            $($crate::case::StoreCase {
                name: stringify!($case),
                run: |opened| Box::pin($case(opened)),
            },)*
        ];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    (() $suite:ident: $($case:ident)*) => {
        /// The names of the suite's cases, as the contract gives them.
        pub const CASES: &[&str] = &[$(stringify!($case),)*];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __presence_bus_table {
    (() $suite:ident: $($case:ident)*) => {
        /// The cases of the suite, by the names that the contract gives them.
        pub const CASES: &[$crate::case::PresenceBusCase] = &[
            $($crate::case::PresenceBusCase {
                name: stringify!($case),
                run: |opened| Box::pin($case(opened)),
            },)*
        ];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __router_table {
    (() $suite:ident: $($case:ident)*) => {
        /// The cases of the suite, by the names that the contract gives them.
        pub const CASES: &[$crate::case::RouterCase] = &[
            $($crate::case::RouterCase {
                name: stringify!($case),
                run: |opened| Box::pin($case(opened)),
            },)*
        ];
    };
}
