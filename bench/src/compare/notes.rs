//! What a profile said of the rows that may fall short, and what is not measured: text of the page that
//! no measurement writes. Whoever changes the cost of a row profiles it again and changes its note.

/// Rows, and what they are spent on.
pub(super) const SPENT: [(&[u8], &str); 0] = [];

/// What the page says of the rows that do not exist.
pub(super) const NOT_YET: &str = "\
- MQTT and AMQP (rows 12 to 16): Landfall does not speak them yet.
";

/// How the bounds of the registering rows are derived.
pub(super) const FLOORS: &str = "\
The bounds of the rows below were set beside a prototype that wrote two rows for each registration. Landfall writes
operation, registration, device with twin and key, and a decision trace for each request. So a server that does only what
must be done is measured in the same run, by the same client: TLS, HTTP, the same statements with the same rows in commits of up
to 64, the two answers, and nothing checked. The ratio that this **least server** would have in the row is its **floor**, and
what was asked of the prototype's floor is asked of today's:

    bound now = bound beside the prototype × floor now ÷ floor of the prototype

The prototype's floors are those of its parts: handshake 170 µs, with a client's certificate 231 µs, register and poll on a kept
connection 65 µs at the least, one hello 12.5 µs, nginx 348 µs. No floor checks the link of row 6's chain.
";
