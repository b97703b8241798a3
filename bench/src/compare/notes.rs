//! What a profile said of the rows that may fall short, and what is not measured: text of the page that
//! no measurement writes. Whoever changes the cost of a row profiles it again and changes its note.

/// Rows, and what they are spent on.
pub(super) const SPENT: [(&[u8], &str); 0] = [];

/// What the page says of the rows that do not exist.
pub(super) const NOT_YET: &str = "\
- MQTT and AMQP (rows 12 to 16): Landfall does not speak them yet.
";
