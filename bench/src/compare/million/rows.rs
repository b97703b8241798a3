//! The rows about a million enrollments, and what a run found out for them.

use super::super::row::{Asked, Family, Figure, Outcome, Row, median};

/// Enrollments that one run may import.
pub(in super::super) const MOST: usize = 10_000_000;

/// All of them.
pub(in super::super) static FAMILY: Family = Family {
    rows: &ROWS,
    measure: super::measure,
};

static ROWS: [Row; 9] = [
    beside(
        17,
        "import of a file of enrollments of 1.5 KB, over HTTPS",
        "the same rows loaded into equal SQLite tables by a bare loop, one table after the other in its order",
        [0.35, 0.6],
    ),
    beside(
        17,
        "the same",
        "the lines loaded into a SQLite table of id and line",
        [0.35, 0.6],
    ),
    number(
        18,
        "memory of the server's own that the import adds at most",
        "MB",
        [128.0, 96.0],
    ),
    number(
        18,
        "memory of the server's own after it",
        "MB",
        [96.0, 64.0],
    ),
    number(
        19,
        "size of the database by the size of the imported file",
        "",
        [1.35, 1.2],
    ),
    beside(
        20,
        "look-up of an enrollment by id in the SQLite layer, the middle one",
        "a look-up of its line in a table of id and line",
        [0.33, 0.5],
    ),
    number(
        21,
        "page of 100 enrollments that a tag picks out of all, over HTTPS: processor time of the server",
        "ms",
        [20.0, 10.0],
    ),
    number(
        21,
        "count of all enrollments in the SQLite layer: processor time",
        "ms",
        [100.0, 50.0],
    ),
    number(
        22,
        "from the start of a server that has them until it takes connections",
        "ms",
        [300.0, 100.0],
    ),
];

const fn beside(number: u8, what: &'static str, other: &'static str, bounds: [f64; 2]) -> Row {
    row(number, what, Asked::Beside(other), "µs", bounds)
}

const fn number(number: u8, what: &'static str, unit: &'static str, bounds: [f64; 2]) -> Row {
    row(number, what, Asked::Number, unit, bounds)
}

const fn row(
    number: u8,
    what: &'static str,
    asked: Asked,
    unit: &'static str,
    [must, stretch]: [f64; 2],
) -> Row {
    Row {
        number,
        what,
        asked,
        unit,
        must,
        stretch,
        short: false,
    }
}

/// What was found out.
#[derive(Default)]
pub(super) struct Facts {
    /// Bytes of the file, and of the database.
    pub(super) payload: u64,
    pub(super) size: u64,
    /// A row of the references: equal tables, and the plainest.
    pub(super) equal: Vec<Figure>,
    pub(super) plain: Vec<Figure>,
    pub(super) import: Option<Figure>,
    /// Bytes of memory that the import added at most, and that the server had afterwards.
    pub(super) grown: u64,
    pub(super) steady: u64,
    /// Milliseconds of a page.
    pub(super) page: f64,
    /// Of a look-up in the layer and in the plain table.
    pub(super) lookups: Option<(Figure, Figure)>,
    /// Milliseconds.
    pub(super) counted: f64,
    /// Milliseconds of each start.
    pub(super) starts: Vec<f64>,
}

impl Facts {
    /// What they say of a row.
    pub(super) fn outcome(&self, row: &'static Row) -> Outcome {
        let numbers = [
            self.grown as f64 / 1e6,
            self.steady as f64 / 1e6,
            self.size as f64 / self.payload as f64,
            self.counted,
        ];
        let [grown, steady, size, counted] = numbers;
        let place = ROWS.iter().position(|one| std::ptr::eq(one, row));
        match place {
            Some(0) => self.ratios(row, &self.equal, self.import),
            Some(1) => self.ratios(row, &self.plain, self.import),
            Some(2) => Outcome::number(row, grown),
            Some(3) => Outcome::number(row, steady),
            Some(4) => Outcome::number(row, size),
            Some(5) => {
                let (ours, bare) = self.lookups.unzip();
                self.ratios(row, bare.as_slice(), ours)
            }
            Some(6) => Outcome::number(row, self.page),
            Some(7) => Outcome::number(row, counted),
            _ => Outcome::number(row, median(self.starts.iter().copied())),
        }
    }

    fn ratios(&self, row: &'static Row, references: &[Figure], ours: Option<Figure>) -> Outcome {
        let mut outcome = Outcome::of(row);
        for (reference, ours) in references.iter().zip(std::iter::repeat(ours).flatten()) {
            outcome.add(*reference, ours);
        }
        outcome
    }
}
