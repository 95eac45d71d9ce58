//! Numbers with names: what a run measured, the median of several, on paper or as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// What one run measured, in the order in which people should read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<(&'static str, f64)>);

impl Figures {
    /// Adds a number; its name ends in its unit.
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.0.push((name, value));
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.0
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| *value)
    }

    fn to_json(&self) -> Value {
        let map: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        Value::Object(map)
    }

    /// Of each number that every run has, the median.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let Some(first) = runs.first() else {
            return Self::default();
        };
        let medians = first.0.iter().filter_map(|(name, _)| {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| run.value(name)).collect();
            values.sort_by(f64::total_cmp);
            (values.len() == runs.len()).then(|| (*name, values[values.len() / 2]))
        });
        Self(medians.collect())
    }
}

/// All runs of one command.
pub(crate) struct Report {
    /// The command with the arguments that matter.
    pub(crate) command: String,
    pub(crate) runs: Vec<Figures>,
}

impl Report {
    /// As one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let runs: Vec<Value> = self.runs.iter().map(Figures::to_json).collect();
        json!({ "command": self.command, "runs": runs, "median": Figures::median(&self.runs).to_json() }).to_string()
    }

    /// As a table: a line a number, a column a run, the median last.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.command);
        for (name, median) in Figures::median(&self.runs).0 {
            let _ = write!(text, "  {name:<32}");
            for run in &self.runs {
                let _ = write!(text, "{:>14}", shown(run.value(name).unwrap_or(f64::NAN)));
            }
            let _ = writeln!(text, "   median {}", shown(median));
        }
        text
    }
}

/// Three digits behind the point where the number is small, else none.
fn shown(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_taken_number_by_number() {
        let run = |one: f64, other: f64| Figures(vec![("one", one), ("other", other)]);
        let median = Figures::median(&[run(3.0, 10.0), run(1.0, 30.0), run(2.0, 20.0)]);
        assert_eq!(median.0, [("one", 2.0), ("other", 20.0)]);
    }
}
