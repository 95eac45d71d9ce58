//! How long calls take, and how they end.

use std::future::Future;
use std::sync::Arc;

use metrics::histogram;
use tokio::time::Instant;

use super::{Decorated, Layer};
use crate::ports::{PortError, PortErrorKind};

/// A port whose calls are measured in the histogram `chat_port_seconds` with the labels `port`, `op` and `outcome`.
/// A call whose future is dropped before it ends leaves no measurement: a time limit belongs inside.
pub type Metrics<P> = Decorated<P, MetricsLayer>;

/// The layer of [`Metrics`].
#[derive(Clone, Copy, Debug)]
pub struct MetricsLayer;

impl<P: ?Sized> Metrics<P> {
    /// Measures every call of `inner`.
    pub fn new(inner: Arc<P>) -> Self {
        Self::with_layer(inner, MetricsLayer)
    }
}

impl MetricsLayer {
    async fn measured<T>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let began = Instant::now();
        let result = call.await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => outcome(error.kind()),
        };
        let (port, op) = op.split_once('.').unwrap_or((op, ""));
        histogram!("chat_port_seconds", "port" => port, "op" => op, "outcome" => outcome)
            .record(began.elapsed().as_secs_f64());
        result
    }
}

fn outcome(kind: PortErrorKind) -> &'static str {
    match kind {
        PortErrorKind::Unavailable => "unavailable",
        PortErrorKind::Timeout => "timeout",
        PortErrorKind::Storage => "storage",
        PortErrorKind::Corrupt => "corrupt",
        PortErrorKind::Misuse => "misuse",
    }
}

impl Layer for MetricsLayer {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.measured(op, call).await
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.measured(op, call).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use super::*;
    use crate::ports::Retry;

    /// Keeps `labels=seconds` of whatever is recorded.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<BTreeSet<String>>>);

    struct NotesOfKey(Notes, String);

    impl HistogramFn for NotesOfKey {
        fn record(&self, value: f64) {
            let mut notes = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            notes.insert(format!("{}={value}", self.1));
        }
    }

    impl Recorder for Notes {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
            let name = format!("{}:{}", key.name(), labels.join(","));
            Histogram::from_arc(Arc::new(NotesOfKey(self.clone(), name)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_measured_with_its_outcome() {
        let notes = Notes::default();
        let recorder = notes.clone();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let layer = MetricsLayer;
        let slow = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(())
        };
        layer.read("messages.load", slow).await.expect("passed on");
        let failed = async { Err::<(), _>(PortError::unavailable("messages.append", Retry::Safe)) };
        let error = layer.write("messages.append", failed).await;
        assert!(error.is_err(), "passed on");
        let noted = notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted: Vec<&str> = noted.iter().map(String::as_str).collect();
        assert_eq!(
            noted,
            [
                "chat_port_seconds:messages,append,unavailable=0",
                "chat_port_seconds:messages,load,ok=2"
            ]
        );
    }
}
