//! Whether the time of a refused log-in tells if the name exists: names that signed up beside names drawn in the same way that
//! did not, in random order, through the server's own paths over SQLite on a disk, with the hashing that it uses. Between
//! the two samples stands a test by ranks: a small p says that the time tells the names apart.
//!
//! `cargo bench -p chat-server --bench login_timing [-- SAMPLES [FOLDER]]`

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use chat_core::Engine;
use chat_core::memory::SystemClock;
use chat_core::ports::{Accounts, Directory};
use chat_server::accounts::{AccountsApi, PasswordHasher, routes};
use chat_server::auth::{SYSTEM_USER, ServerDirectory, TokenAuthenticator};
use chat_server::settings::Settings;
use chat_store_sqlite::SqliteStore;
use chat_transport_ws::http::ClientAddress;
use chat_transport_ws::{TransportSettings, router_beside};
use http::{Method, StatusCode, header};
use rand::Rng as _;
use rand::seq::SliceRandom;
use serde_json::json;
use tower::ServiceExt as _;

/// Refused log-ins with a known name, and as many with an unknown one.
const SAMPLES: usize = 1_000;
/// Names that signed up, and as many that did not.
const NAMES: usize = 100;
/// Wrong passwords that cost nothing; the next is refused without a look at it.
const FREE_FAILURES: usize = 5;
/// Refusals of one slowed-down name: all come before its first wait is over.
const REFUSALS_EACH: usize = 20;

type BenchError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BenchError> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let samples = arguments
        .next()
        .map_or(Ok(SAMPLES), |count| count.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(folder.path(), samples))
}

async fn measure(folder: &Path, samples: usize) -> Result<(), BenchError> {
    let mut server = Server::open(folder).await?;
    let names = Names::draw(&mut server).await?;
    println!(
        "{:<28} {:>8} {:>12} {:>12} {:>12} {:>9} {:>7}",
        "refused log-ins", "of each", "known us", "unknown us", "difference", "share", "p"
    );
    let wrong = wrong_passwords(&mut server, &names, samples).await?;
    wrong.print("wrong password");
    let slowed = slowed_down(&mut server, &names, samples).await?;
    slowed.print("just slowed down");
    server.store.close().await?;
    Ok(())
}

/// Each from an address of its own, so that none is slowed down.
async fn wrong_passwords(
    server: &mut Server,
    names: &Names,
    samples: usize,
) -> Result<Samples, BenchError> {
    let mut measured = Samples::default();
    for number in 0..samples {
        for is_known in in_random_order([true, false]) {
            let address = server.next_address();
            let name = names.of(is_known, number);
            let took = server
                .refused(name, address, StatusCode::UNAUTHORIZED)
                .await?;
            measured.add(is_known, took);
        }
    }
    Ok(measured)
}

/// A known and an unknown name with all free failures behind them, refused again and again.
async fn slowed_down(
    server: &mut Server,
    names: &Names,
    samples: usize,
) -> Result<Samples, BenchError> {
    let mut measured = Samples::default();
    for round in 0..samples.div_ceil(REFUSALS_EACH) {
        let address = server.next_address();
        for is_known in in_random_order([true, false]) {
            let name = names.of(is_known, round);
            for _ in 0..FREE_FAILURES {
                server
                    .refused(name, address, StatusCode::UNAUTHORIZED)
                    .await?;
            }
        }
        let order = [true, false].repeat(REFUSALS_EACH);
        for is_known in in_random_order(order) {
            let name = names.of(is_known, round);
            let took = server
                .refused(name, address, StatusCode::TOO_MANY_REQUESTS)
                .await?;
            measured.add(is_known, took);
        }
    }
    Ok(measured)
}

fn in_random_order<T: AsMut<[bool]>>(mut order: T) -> T {
    order.as_mut().shuffle(&mut rand::rng());
    order
}

/// The server's paths without sockets.
struct Server {
    store: SqliteStore,
    paths: Router,
    addresses: u32,
}

impl Server {
    async fn open(folder: &Path) -> Result<Self, BenchError> {
        let store = SqliteStore::open(folder.join("chat.db")).await?;
        let accounts: Arc<dyn Accounts> = Arc::new(store.clone());
        let directory = ServerDirectory::new(Arc::clone(&accounts), false);
        let clock = Arc::new(SystemClock);
        let engine = Engine::builder()
            .messages(store.clone())
            .users(store.clone())
            .authenticator(TokenAuthenticator::new(Arc::clone(&accounts), None, clock))
            .directory(directory.clone())
            .system_user(SYSTEM_USER.parse()?)
            .build()?;
        let directory: Arc<dyn Directory> = Arc::new(directory);
        let settings = Settings::default();
        let hasher = PasswordHasher::new(settings.auth.password_hashes_max)?;
        let api = AccountsApi::new(engine.clone(), accounts, directory, hasher, true);
        Ok(Self {
            store,
            paths: router_beside(engine, TransportSettings::default(), routes(api).0),
            addresses: 0,
        })
    }

    fn next_address(&mut self) -> IpAddr {
        self.addresses += 1;
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + self.addresses).into()
    }

    async fn sign_up(&mut self, name: &str) -> Result<(), BenchError> {
        let address = self.next_address();
        let request = json!({"user": name, "password": "the right one, for once"});
        let (_, status) = self.post("/v1/users", &request, address).await?;
        expect(status, StatusCode::CREATED)
    }

    /// A log-in with a wrong password: how long until it was refused.
    async fn refused(
        &self,
        name: &str,
        address: IpAddr,
        as_what: StatusCode,
    ) -> Result<Duration, BenchError> {
        let request = json!({"user": name, "password": "not the right one at all"});
        let (took, status) = self.post("/v1/sessions", &request, address).await?;
        expect(status, as_what)?;
        Ok(took)
    }

    async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        address: IpAddr,
    ) -> Result<(Duration, StatusCode), BenchError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))?;
        request
            .extensions_mut()
            .insert(ClientAddress(Some(address)));
        let paths = self.paths.clone();
        let began = Instant::now();
        let response = paths.oneshot(request).await?;
        let (head, body) = response.into_parts();
        axum::body::to_bytes(body, usize::MAX).await?;
        Ok((began.elapsed(), head.status))
    }
}

fn expect(found: StatusCode, expected: StatusCode) -> Result<(), BenchError> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{expected} was expected and {found} was answered").into())
    }
}

struct Names {
    known: Vec<String>,
    unknown: Vec<String>,
}

impl Names {
    /// Drawn in the same way and in turn; the known ones signed up.
    async fn draw(server: &mut Server) -> Result<Self, BenchError> {
        let draw = || format!("user-{:016x}", rand::rng().random::<u64>());
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for _ in 0..NAMES {
            let name = draw();
            server.sign_up(&name).await?;
            known.push(name);
            unknown.push(draw());
        }
        Ok(Self { known, unknown })
    }

    fn of(&self, is_known: bool, number: usize) -> &str {
        let names = if is_known { &self.known } else { &self.unknown };
        &names[number % NAMES]
    }
}

/// Microseconds of each.
#[derive(Default)]
struct Samples {
    known: Vec<f64>,
    unknown: Vec<f64>,
}

impl Samples {
    fn add(&mut self, is_known: bool, took: Duration) {
        let samples = if is_known {
            &mut self.known
        } else {
            &mut self.unknown
        };
        samples.push(took.as_secs_f64() * 1e6);
    }

    fn print(&self, what: &str) {
        let (known, unknown) = (median(&self.known), median(&self.unknown));
        println!(
            "{what:<28} {:>8} {known:>12.1} {unknown:>12.1} {:>12.1} {:>8.2}% {:>7.3}",
            self.known.len(),
            known - unknown,
            (known - unknown) / unknown * 100.0,
            p_of_ranks(&self.known, &self.unknown),
        );
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The two-sided p of Mann and Whitney's test in its normal form, which holds from some twenty samples each on; ties, which
/// clocks of nanoseconds hardly give, share their ranks.
fn p_of_ranks(one: &[f64], other: &[f64]) -> f64 {
    let tag = |is_one: bool| move |took: &f64| (*took, is_one);
    let mut all: Vec<(f64, bool)> = one.iter().map(tag(true)).collect();
    all.extend(other.iter().map(tag(false)));
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut ranks_of_one, mut before) = (0.0, 0);
    for equal in all.chunk_by(|left, right| left.0 == right.0) {
        let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        ranks_of_one += rank * equal.iter().filter(|(_, is_one)| *is_one).count() as f64;
        before += equal.len();
    }
    let (m, n) = (one.len() as f64, other.len() as f64);
    let u = ranks_of_one - m * (m + 1.0) / 2.0;
    let z = (u - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt();
    two_sided(z.abs())
}

/// How often chance alone lies this many standard deviations off or further. Abramowitz and Stegun 7.1.26; off by less than
/// 2e-7.
fn two_sided(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let sum = terms.iter().fold(0.0, |sum, term| (sum + term) * t);
    sum * (-x * x).exp()
}
