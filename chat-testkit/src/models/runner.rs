//! Runs random steps on an adapter and on its model side by side.

use std::fmt;
use std::future::Future;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;

use crate::engine::{SEED_VARIABLE, seeds};
use crate::skip::Skip;

/// Runs of random steps of a test; as many as a debug build does in a few seconds on real files.
pub const RUNS: u32 = 64;

/// Steps of a run at the most.
pub const STEPS_MAX: usize = 40;

/// Attempts to find a shorter run that fails too.
const SHRINKS_MAX: u32 = 400;

/// What a port is, in plain data, and how an adapter is held to it.
pub trait Model: ReferenceStateMachine {
    /// What a factory opens for a run.
    type Opened;
    /// The adapter, with what the run keeps beside it.
    type Subject;

    /// The model of an adapter that nobody has used, with names that nobody else uses. Every run begins with one of its
    /// own, also those that shorten a failure: adapters may share one database.
    fn fresh() -> Self::State;

    /// The adapter as it begins.
    fn begin(opened: Self::Opened, state: &Self::State) -> impl Future<Output = Self::Subject>;

    /// Takes a step that led the model to `after`, and compares. Panics where the adapter is not as the model.
    fn step(
        subject: Self::Subject,
        after: &Self::State,
        transition: Self::Transition,
    ) -> impl Future<Output = Self::Subject>;
}

/// A run after which an adapter is not as its model.
#[derive(Debug)]
pub struct Fault {
    /// What to begin with to see it again.
    pub seed: u64,
    /// How they differ.
    pub difference: String,
    /// The steps that lead there.
    pub steps: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            difference,
            steps,
        } = self;
        writeln!(f, "{}={seed}: {difference}", SEED_VARIABLE)?;
        let mut numbered = steps.iter().zip(1..);
        numbered.try_for_each(|(step, number)| writeln!(f, "  {number}. {step}"))
    }
}

/// Runs the model on what `open` opens; what the mounted tests call.
///
/// # Panics
/// With the seed and the steps, when the adapter is not as the model.
pub(super) fn hold<M: Model>(open: impl AsyncFn() -> Result<M::Opened, Skip>) {
    for seed in seeds(1) {
        if let Err(fault) = search::<M>(&open, seed, SHRINKS_MAX) {
            panic!("{fault}");
        }
    }
}

/// Runs the model on what `open` opens, until a run fails.
///
/// # Errors
/// That run, after so many attempts to shorten it.
pub(super) fn search<M: Model>(
    open: &impl AsyncFn() -> Result<M::Opened, Skip>,
    seed: u64,
    shrinks_max: u32,
) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start threads");
    if let Err(skip) = runtime.block_on(open()) {
        skip.announce();
        return Ok(());
    }
    let strategy = M::sequential_strategy(1..=STEPS_MAX);
    let outcome = seeded_runner(seed, RUNS, shrinks_max).run(&strategy, |(_, steps, seen)| {
        runtime.block_on(async {
            let opened = open().await.expect("what opened before opens again");
            let mut state = M::fresh();
            let mut subject = M::begin(opened, &state).await;
            for step in steps {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                state = M::apply(state, &step);
                subject = M::step(subject, &state, step).await;
            }
        });
        Ok(())
    });
    outcome.map_err(|error| match error {
        TestError::Fail(difference, (_, steps, _)) => Fault {
            seed,
            difference: difference.to_string(),
            steps: steps.iter().map(|step| format!("{step:?}")).collect(),
        },
        TestError::Abort(reason) => Fault {
            seed,
            difference: format!("no steps were found: {reason}"),
            steps: Vec::new(),
        },
    })
}

/// So many runs that the seed fixes, and so many attempts to shorten one that fails.
pub(crate) fn seeded_runner(seed: u64, runs: u32, shrinks_max: u32) -> TestRunner {
    let config = Config {
        cases: runs,
        max_shrink_iters: shrinks_max,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    TestRunner::new_with_rng(config, rng)
}
