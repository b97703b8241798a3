//! `cargo xtask package`: the static release binary, a tarball, a Debian package, what a container image
//! is made of, and their checksums, in `target/package`.
//!
//! Nothing here depends on when or where it runs: times come from `SOURCE_DATE_EPOCH` (else from the last
//! commit), owners and modes are fixed, names are sorted. The same commit, toolchain and C library give the
//! same bytes; outside a clone, `LANDFALL_COMMIT` says which commit it is.

mod deb;
mod elf;
mod notices;
mod shell;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::step;
use shell::{Places, Printed};
use tree::{Entry, Tree};

/// What is built for: the one target that a static C library is at hand for everywhere.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The version of everything that is packaged.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The most bytes that the binary may have.
const LARGEST_BINARY: u64 = 30_000_000;

/// Where manual pages and completions are in the tarball: for whoever installs it to put in place.
const IN_TARBALL: Places = Places {
    manual: "man/man1",
    bash: "completions/landfall.bash",
    zsh: "completions/_landfall",
    fish: "completions/landfall.fish",
};

/// Builds the binary and everything that is made of it.
///
/// # Errors
/// When the build fails, when a tool is missing, or when a product is not what it should be.
pub fn run() -> anyhow::Result<()> {
    let binary = binary()?;
    let out = step::target().join("package");
    if out.exists() {
        std::fs::remove_dir_all(&out).context("target/package cannot be emptied")?;
    }
    std::fs::create_dir_all(&out).context("target/package cannot be made")?;
    let epoch = epoch()?;
    let notices = notices::text(TARGET)?;
    let shell = shell::print(&binary, &out.join("printed"))?;
    let products = [
        tarball(&out, &binary, &notices, &shell, epoch)?,
        deb::build(&out, &binary, &notices, &shell, epoch)?,
    ];
    shell.remove()?;
    image(&out, &binary)?;
    sums(&out, &products)?;
    println!("\n==> target/package");
    for name in products {
        println!("{:>6.1} MB  {name}", megabytes(&out.join(&name))?);
    }
    println!(
        "{:>6.1} MB  landfall, static, in image/ and in both",
        megabytes(&binary)?
    );
    Ok(())
}

/// Builds what is asked for as a release is built, and gives the folder where it is.
///
/// # Errors
/// When the build fails.
pub fn build(packages: &[&str]) -> anyhow::Result<PathBuf> {
    // Where the sources lay when they were built is nobody's business, and differs between machines.
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        format!(
            "--remap-path-prefix={}=/cargo",
            step::cargo_home()?.display()
        ),
        format!("--remap-path-prefix={}=/landfall", step::root().display()),
    ];
    // With `--target`, these flags are for the binary alone and not for build scripts and macros.
    step::run(
        step::cargo()
            .args(["build", "--release", "--locked", "--target", TARGET])
            .args(packages.iter().flat_map(|name| ["--package", name]))
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")),
    )?;
    Ok(step::target().join(TARGET).join("release"))
}

/// Builds the release binary, and makes sure that it needs nothing of the machine it will run on.
fn binary() -> anyhow::Result<PathBuf> {
    let binary = build(&["landfall-server"])?.join("landfall");
    let bytes = std::fs::read(&binary).context("the binary that was built cannot be read")?;
    ensure!(
        !elf::wants_interpreter(&bytes)?,
        "the binary is not static: it names a dynamic linker"
    );
    ensure!(
        bytes.len() as u64 <= LARGEST_BINARY,
        "the binary has {} bytes, more than {LARGEST_BINARY}",
        bytes.len()
    );
    let said = step::output_of(&binary.to_string_lossy(), &["--version"]);
    let wanted = format!("landfall {VERSION}");
    match said {
        Some(said) if said.trim().starts_with(&wanted) => Ok(binary),
        said => bail!("`landfall --version` says {said:?} and not '{wanted}'"),
    }
}

/// The time that everything in the packages bears, in seconds since 1970: the one asked for, else that
/// of the last commit, else, outside a clone, that of the lock file.
fn epoch() -> anyhow::Result<u64> {
    let root = step::root();
    let folder = root.to_string_lossy();
    let last_commit = || {
        // Whoever builds need not be who cloned.
        let any = ["-c", "safe.directory=*", "-C", &folder];
        step::output_of("git", &[&any[..], &["log", "-1", "--format=%ct"]].concat())
    };
    match std::env::var("SOURCE_DATE_EPOCH").ok().or_else(last_commit) {
        Some(text) => text
            .trim()
            .parse()
            .with_context(|| format!("'{}' is not a time in seconds since 1970", text.trim())),
        None => {
            let lock = std::fs::metadata(root.join("Cargo.lock"))
                .context("Cargo.lock cannot be read")?
                .modified()?;
            Ok(lock.duration_since(std::time::UNIX_EPOCH)?.as_secs())
        }
    }
}

/// A folder with the binary, the documents and a unit to start from, as a tarball.
fn tarball(
    out: &Path,
    binary: &Path,
    notices: &str,
    shell: &Printed,
    epoch: u64,
) -> anyhow::Result<String> {
    let name = format!("landfall-{VERSION}-x86_64-linux");
    let mut tree = Tree::default();
    tree.add(Entry::file("landfall", 0o755, binary));
    for file in ["README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"] {
        tree.add(Entry::file(file, 0o644, &step::root().join(file)));
    }
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        tree.add(Entry::file(file, 0o644, &step::root().join(file)));
    }
    tree.add_folder("docs", &step::root().join("docs"))?;
    tree.add(Entry::text("THIRD-PARTY.md", 0o644, notices));
    shell.place(&mut tree, &IN_TARBALL);
    tree.add_folder("packaging", &step::root().join("packaging"))?;
    let staged = out.join(&name);
    tree.write(&staged)?;
    let archive = format!("{name}.tar");
    step::run(
        Command::new("tar")
            .args(["--create", "--format=gnu", "--sort=name"])
            .args(["--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{epoch}"))
            .arg("--file")
            .arg(out.join(&archive))
            .arg("--directory")
            .arg(out)
            .arg(&name),
    )?;
    step::run(
        Command::new("gzip")
            .args(["--no-name", "--best", "--force"])
            .arg(out.join(&archive)),
    )?;
    std::fs::remove_dir_all(&staged).context("the staged tarball cannot be removed")?;
    Ok(format!("{archive}.gz"))
}

/// The context of `packaging/Containerfile`: the binary, an empty data folder and one for what does not stay.
fn image(out: &Path, binary: &Path) -> anyhow::Result<()> {
    let mut tree = Tree::default();
    tree.add(Entry::file("landfall", 0o755, binary));
    tree.add(Entry::folder("data", 0o700));
    tree.add(Entry::folder("tmp", 0o1777));
    tree.write(&out.join("image"))
}

/// `SHA256SUMS` beside the products, as `sha256sum --check` reads it.
fn sums(out: &Path, products: &[String]) -> anyhow::Result<()> {
    let done = Command::new("sha256sum")
        .args(products)
        .current_dir(out)
        .output()
        .context("sha256sum cannot be started")?;
    ensure!(done.status.success(), "sha256sum failed: {}", done.status);
    std::fs::write(out.join("SHA256SUMS"), done.stdout).context("SHA256SUMS cannot be written")
}

fn megabytes(file: &Path) -> anyhow::Result<f64> {
    let bytes = std::fs::metadata(file)
        .with_context(|| format!("{} is not there", file.display()))?
        .len();
    Ok(bytes as f64 / 1e6)
}
