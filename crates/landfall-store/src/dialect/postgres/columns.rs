//! Many rows as PostgreSQL takes them at once: each column as one array.

use tokio_postgres::types::ToSql;

use crate::dialect::Value;

/// One column of many rows.
#[derive(Debug)]
enum Column<'a> {
    Texts(Vec<&'a str>),
    Integers(Vec<i64>),
    Bytes(Vec<Option<&'a [u8]>>),
}

/// The columns of many rows.
#[derive(Debug)]
pub(crate) struct Columns<'a>(Vec<Column<'a>>);

impl<'a> Columns<'a> {
    /// Of rows whose columns are of the same kinds in each.
    pub(crate) fn of<const N: usize>(rows: &'a [[Value<'_>; N]]) -> Self {
        let column = |at: usize| {
            let values = rows.iter().filter_map(move |row| row.get(at));
            match rows.first().and_then(|row| row.get(at)) {
                Some(Value::Integer(_)) => Column::Integers(
                    values
                        .map(|value| match value {
                            Value::Integer(number) => *number,
                            Value::Text(_) | Value::Bytes(_) => 0,
                        })
                        .collect(),
                ),
                Some(Value::Bytes(_)) => Column::Bytes(
                    values
                        .map(|value| match value {
                            Value::Bytes(bytes) => bytes.as_deref(),
                            Value::Text(_) | Value::Integer(_) => None,
                        })
                        .collect(),
                ),
                Some(Value::Text(_)) | None => Column::Texts(values.map(Value::words).collect()),
            }
        };
        Columns((0..N).map(column).collect())
    }

    /// Two columns for each list of pairs.
    pub(crate) fn of_pairs(lists: &[Vec<(&'a str, &'a str)>]) -> Self {
        let columns = lists.iter().flat_map(|list| {
            [
                Column::Texts(list.iter().map(|pair| pair.0).collect()),
                Column::Texts(list.iter().map(|pair| pair.1).collect()),
            ]
        });
        Columns(columns.collect())
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        match self.0.first() {
            None => true,
            Some(Column::Texts(values)) => values.is_empty(),
            Some(Column::Integers(values)) => values.is_empty(),
            Some(Column::Bytes(values)) => values.is_empty(),
        }
    }

    /// The arrays as the driver takes them.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let each = self.0.iter().map(|column| match column {
            Column::Texts(values) => values as &(dyn ToSql + Sync),
            Column::Integers(values) => values,
            Column::Bytes(values) => values,
        });
        each.collect()
    }
}
