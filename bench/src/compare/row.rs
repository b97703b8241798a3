//! One row of the page: what is held against what, how much is asked for, and what a run found. Which rows
//! there are, and how each is measured, stands with its family.

use super::derived::Found;
use super::stage::Spent;

/// What is held against what.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) number: u8,
    pub(super) what: &'static str,
    pub(super) asked: Asked,
    /// What costs are counted in, or the number itself.
    pub(super) unit: &'static str,
    pub(super) must: f64,
    pub(super) stretch: f64,
    /// Whether the short run has it.
    pub(super) short: bool,
}

/// What the bounds of a row bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// At least so much of the worth of this reference: its cost by ours.
    Beside(&'static str),
    /// At least so many times as fast as this reference.
    Faster(&'static str),
    /// At most this number, whatever others do.
    Number,
}

impl Asked {
    /// What a row is held against, unless it is a number.
    pub(super) fn beside(self) -> Option<&'static str> {
        match self {
            Asked::Beside(other) | Asked::Faster(other) => Some(other),
            Asked::Number => None,
        }
    }
}

/// Rows that share what they are measured with.
pub(super) struct Family {
    pub(super) rows: &'static [Row],
    /// Measures those of its rows that are wanted.
    pub(super) measure: fn(&super::Options, &[&'static Row]) -> anyhow::Result<Vec<Outcome>>,
}

/// What one piece of work cost, in the row's unit, and how many were done in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) cost: f64,
    pub(super) rate: f64,
}

/// How much is asked of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) must: f64,
    pub(super) stretch: f64,
}

/// What a run found of a row.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) row: &'static Row,
    /// The row's own, or what this run made of them.
    pub(super) bounds: Bounds,
    /// What the bounds bound, of each round; sorted.
    values: Vec<f64>,
    pub(super) ours: Vec<Figure>,
    pub(super) reference: Vec<Figure>,
    /// What the bounds were derived from, when they were.
    pub(super) floor: Option<Found>,
    /// What the threads of our server spent.
    pub(super) spent: Option<Spent>,
}

impl Outcome {
    /// One without rounds.
    pub(super) fn of(row: &'static Row) -> Self {
        Outcome {
            row,
            bounds: Bounds {
                must: row.must,
                stretch: row.stretch,
            },
            values: Vec::new(),
            ours: Vec::new(),
            reference: Vec::new(),
            floor: None,
            spent: None,
        }
    }

    /// One of a single number.
    pub(super) fn number(row: &'static Row, value: f64) -> Self {
        let mut outcome = Outcome::of(row);
        outcome.values.push(value);
        outcome
    }

    /// Adds a round.
    pub(super) fn add(&mut self, reference: Figure, ours: Figure) {
        self.values.push(match self.row.asked {
            Asked::Beside(_) => reference.cost / ours.cost,
            Asked::Faster(_) => ours.rate / reference.rate,
            Asked::Number => ours.cost,
        });
        self.values.sort_by(f64::total_cmp);
        self.reference.push(reference);
        self.ours.push(ours);
    }

    /// The median of the rounds.
    pub(super) fn value(&self) -> f64 {
        median(self.values.iter().copied())
    }

    /// The lowest and the highest of the rounds, when there was more than one.
    pub(super) fn spread(&self) -> Option<(f64, f64)> {
        match self.values[..] {
            [first, .., last] => Some((first, last)),
            _ => None,
        }
    }

    /// Cost and rate of ours and of the reference, the medians of the rounds.
    pub(super) fn figures(&self) -> Option<(Figure, Figure)> {
        let middle = |figures: &[Figure]| Figure {
            cost: median(figures.iter().map(|figure| figure.cost)),
            rate: median(figures.iter().map(|figure| figure.rate)),
        };
        (!self.ours.is_empty()).then(|| (middle(&self.ours), middle(&self.reference)))
    }

    /// Whether a bound is met when `slack` times as much, or a `slack`th of it, will do.
    pub(super) fn meets(&self, bound: f64, slack: f64) -> bool {
        match self.row.asked {
            Asked::Beside(_) | Asked::Faster(_) => self.value() >= bound * slack,
            Asked::Number => self.value() <= bound / slack,
        }
    }

    /// Which bound is met.
    pub(super) fn verdict(&self) -> &'static str {
        if self.meets(self.bounds.stretch, 1.0) {
            "stretch"
        } else if self.meets(self.bounds.must, 1.0) {
            "must"
        } else {
            "short"
        }
    }

    /// The outcome for a terminal.
    pub(super) fn line(&self) -> String {
        let unit = self.row.unit;
        let mut line = format!("row {:>2}: {}", self.row.number, shown(self.value()));
        if self.row.asked == Asked::Number && !unit.is_empty() {
            line.push_str(&format!(" {unit}"));
        }
        if let Some((low, high)) = self.spread() {
            line.push_str(&format!(" ({} to {})", shown(low), shown(high)));
        }
        line.push_str(&format!(
            ", must {}, stretch {}: {}; ",
            shown(self.bounds.must),
            shown(self.bounds.stretch),
            self.verdict()
        ));
        if let Some((ours, reference)) = self.figures() {
            line.push_str(&format!(
                "{:.1} {unit} beside {:.1} {unit}; ",
                ours.cost, reference.cost
            ));
        }
        line.push_str(self.row.what);
        line
    }
}

/// A number with as many digits as tell it from its neighbours.
pub(super) fn shown(number: f64) -> String {
    if number.abs() < 0.095 {
        format!("{number:.3}")
    } else {
        format!("{number:.2}")
    }
}

/// The middle of some numbers.
pub(super) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = (sorted.len() / 2)
        .checked_sub(1)
        .and_then(|at| sorted.get(at));
    lower.map_or(upper, |lower| (lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    static RATIO: Row = row(Asked::Beside("another"), 0.95, 1.0);
    static NUMBER: Row = row(Asked::Number, 30.0, 20.0);

    const fn row(asked: Asked, must: f64, stretch: f64) -> Row {
        Row {
            number: 1,
            what: "something",
            asked,
            unit: "µs",
            must,
            stretch,
            short: false,
        }
    }

    fn rounds(row: &'static Row, ours: &[f64]) -> Outcome {
        let figure = |cost| Figure { cost, rate: 1.0 };
        let mut outcome = Outcome::of(row);
        for cost in ours {
            outcome.add(figure(100.0), figure(*cost));
        }
        outcome
    }

    #[test]
    fn the_verdict_goes_by_the_median_of_the_rounds() {
        let outcome = rounds(&RATIO, &[100.0, 50.0, 200.0]);
        assert_eq!(outcome.value(), 1.0);
        assert_eq!(outcome.verdict(), "stretch");
        assert_eq!(outcome.spread(), Some((0.5, 2.0)));
        let outcome = rounds(&RATIO, &[100.0, 50.0, 200.0, 1000.0]);
        assert_eq!(outcome.value(), 0.75);
        assert_eq!(outcome.verdict(), "short");
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn what_is_to_be_low_is_short_when_it_is_high() {
        assert_eq!(Outcome::number(&NUMBER, 20.0).verdict(), "stretch");
        assert_eq!(Outcome::number(&NUMBER, 29.9).verdict(), "must");
        assert_eq!(Outcome::number(&NUMBER, 30.1).verdict(), "short");
    }

    #[test]
    fn small_ratios_are_told_apart() {
        assert_eq!([0.0273, 0.45, 12.0].map(shown), ["0.027", "0.45", "12.00"]);
    }

    #[test]
    fn a_widened_bound_is_lower_for_what_is_to_be_high_and_higher_for_what_is_to_be_low() {
        let high = rounds(&RATIO, &[120.0]);
        assert!(!high.meets(0.95, 1.0) && high.meets(0.95, 0.85));
        let low = Outcome::number(&NUMBER, 33.0);
        assert!(!low.meets(30.0, 1.0) && low.meets(30.0, 0.85));
    }
}
