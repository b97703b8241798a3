//! What a profile said of the rows that may fall short, and what is not measured: text of the page that
//! no measurement writes. Whoever changes the cost of a row profiles it again and changes its note.

/// What the page begins with.
pub(super) const HEAD: &str = "\
# Performance: Landfall beside what you know

<!-- Written by `cargo xtask bench`: do not edit. Its words stand in bench/src/compare. -->

Written by `cargo xtask bench`, which anybody can run; it takes some minutes and two processors. Each row holds something that
Landfall does against a program that does the least of the kind, in the same run: rows are interleaved, round by round, and the
ratio of each round is taken by itself. Shown is the median ratio with the lowest and the highest. Rows 17 to 22 come of one
import and what is there after it: the references of row 17 are measured twice, that of row 20 once, and the others have none. Rates depend on the machine; ratios hardly do. How much one server of yours takes is told by [`landfall bench`](load.md).

**Cost** is the processor time of the server's process by the work done, as the kernel's scheduler counts it for every thread:
what the client costs is not in it. On PostgreSQL (rows 10 and 11) it is the time that passes, since most of the work is the
database's. A ratio of 0.5 says that Landfall uses twice what the reference uses. **must** and **stretch** are what the project
asks of itself; those of rows 3 to 7 are derived [below](#bounds-that-this-run-derived).

";

/// What a reader may want to know of the references.
pub(super) const REFERENCES: &str = "
The client is one and the same for all rows, a program of this repository: it verifies no certificate and resumes no session.
The reference of row 7 is the bare HTTP library that Landfall stands on, without a framework: cheaper than one with a framework,
and so the stricter reference. nginx runs as one process. A registration with its poll counts only when the poll says `assigned`.
";

/// Rows, and what they are spent on: shares of the samples that `perf` took of the server while the row ran.
pub(super) const SPENT: [(&[u8], &str); 9] = [
    (
        &[1],
        "the accept path asks each client for a certificate, looks whether plain HTTP is spoken, keeps a slot and a time limit for \
         each connection and counts what came of it; the reference does none of that.",
    ),
    (
        &[2],
        "beside the handshake, of 100 samples: 12 in the HTTP library, which sets up and ends a connection for one request, 3 in the \
         orderly end of the socket, 2 in the line that the log gets, 1 in the answer itself.",
    ),
    (
        &[3, 4, 5, 7],
        "of 100 samples of the pair on a kept connection: 29 in the thread that writes (statements and the rows they are given 10, \
         commits 9, of which waiting for the disk 5, decision traces 6, checkpoints 2); 13 in sockets and TLS records, 9 in reading \
         what is in force, 5 in the line of the log and the trace that is handed on, 4 in answers as JSON, 3 in names and nonces from \
         the random generator, 3 in paths, 3 in the derived key. A fresh connection adds what row 2 has beside its handshake.",
    ),
    (
        &[6],
        "what row 4 is spent on, and one signature of the device's own certificate; the link above it is found once for all \
         connections that show it.",
    ),
    (
        &[9],
        "of 100 samples of the writing thread: 60 in the statements, the making and sealing of their rows included, 22 in commits, 11 in \
         answering each caller, which a bare loop does not, 7 in checkpoints.",
    ),
    (
        &[12, 13],
        "what row 4 is spent on: two requests of a registration whose rows are durable, with their traces, on a connection of its own; in place \
         of the HTTP library five packets each way. A broker keeps nothing.",
    ),
    (
        &[14],
        "of 100 samples of the answered question: 45 in sockets, 17 in the read of the device from the database, of which 10 in the locks \
         that tell other processes of a reader, 4 in the twin as JSON, 3 in TLS records, 3 in packets and topics. A broker reads no \
         database.",
    ),
    (
        &[17],
        "two fifths by the one thread that writes: beside the row and its key three indexes that queries use, three entries of the \
         path table of tags, and the pages of all these in log and database. Three fifths by what the plain loads have not: TLS and \
         HTTP, lines read as JSON, the rules held, keys sealed, records made.",
    ),
    (
        &[18],
        "what is steady: the page caches of the connections to the database, the groups' trust, and memory that the allocator keeps \
         at hand after the import.",
    ),
];

/// What the page says of the rows that do not exist.
pub(super) const NOT_YET: &str = "\
- AMQP (row 16): it is not there yet.
";

/// How the bounds of the registering rows are derived.
pub(super) const FLOORS: &str = "\
The bounds of the rows below were set beside a prototype that wrote two rows for each registration. Landfall writes
operation, registration, device with twin and key, and a decision trace for each request. What must be done for such a row is
measured in the same run, each part by the least that does it: the bare handshake, one `hello` for each request, and a bare
loop of the statements, with rows that Landfall wrote itself, 64 registrations per commit. The ratio that the sum of them would
have in the row is its **floor**, and what was asked of the prototype's floor is asked of today's:

    floor     = reference ÷ (handshake + requests × hello + statements)
    bound now = bound beside the prototype × floor now ÷ floor of the prototype

The prototype's parts were: handshake 170 µs, with a client's certificate 231 µs, hello 12.5 µs, statements 23 µs; nginx took
348 µs. No floor checks a token, or the link of row 6's chain.
";

/// How to read what threads spent.
pub(super) const SPENT_BY: &str = "\
Processor time of the server's threads by the work done: those that take **requests** (handshake, HTTP, checks, decisions, reads)
and the **writer** (changes, commits, checkpoints, decision traces), each beside the parts of the row's floor, where it has one.
";
