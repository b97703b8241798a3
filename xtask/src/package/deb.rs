//! The Debian package: which file goes where, the control file, and `dpkg-deb` to put them together.
//!
//! The texts stand in `packaging/`; here stands only what is computed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::VERSION;
use super::shell::{Places, Printed};
use super::tree::{Entry, Tree};
use crate::step;

/// Who answers for the package.
const MAINTAINER: &str = "The Landfall contributors <maintainers@landfall.invalid>";

/// Where documents go.
const DOC: &str = "usr/share/doc/landfall";

/// Where Debian's `man` and shells look.
const IN_SYSTEM: Places = Places {
    manual: "usr/share/man/man1",
    bash: "usr/share/bash-completion/completions/landfall",
    zsh: "usr/share/zsh/vendor-completions/_landfall",
    fish: "usr/share/fish/vendor_completions.d/landfall.fish",
};

/// The revision of the packaging of this version.
const REVISION: &str = "1";

/// Builds the package into `out`, compares what is in it with what was meant, and gives its name.
///
/// # Errors
/// When `dpkg-deb` is missing, or the package does not hold what it should.
pub(super) fn build(
    out: &Path,
    binary: &Path,
    notices: &str,
    shell: &Printed,
    epoch: u64,
) -> anyhow::Result<String> {
    let changelog = changelog(&date(epoch)?);
    let tree = tree(binary, notices, shell, &changelog)?;
    let staged = out.join("deb");
    tree.write(&staged)?;
    for name in ["changelog", "changelog.Debian"] {
        step::run(
            Command::new("gzip")
                .args(["--no-name", "--best"])
                .arg(staged.join(DOC).join(name)),
        )?;
    }
    let sums = sums(&staged)?;
    control(tree.bytes()?, &sums)?.write(&staged.join("DEBIAN"))?;

    let name = format!("landfall_{VERSION}-{REVISION}_amd64.deb");
    let package = out.join(&name);
    step::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&staged)
            .arg(&package)
            .env("SOURCE_DATE_EPOCH", epoch.to_string()),
    )
    .context("the package needs dpkg-deb: on other systems than Debian, install dpkg")?;
    std::fs::remove_dir_all(&staged).context("the staged package cannot be removed")?;
    let meant: Vec<String> = tree.listing().iter().map(|line| zipped(line)).collect();
    compare(&meant, &listed(&package)?)?;
    Ok(name)
}

/// Everything that the package installs.
fn tree(binary: &Path, notices: &str, shell: &Printed, changelog: &str) -> anyhow::Result<Tree> {
    let root = step::root();
    let packaging = root.join("packaging");
    let mut tree = Tree::default();
    tree.add(Entry::file("usr/bin/landfall", 0o755, binary));
    for unit in ["landfall.service", "landfall.socket"] {
        tree.add(Entry::file(
            &format!("lib/systemd/system/{unit}"),
            0o644,
            &packaging.join("systemd").join(unit),
        ));
    }
    tree.add(Entry::file(
        "usr/lib/sysusers.d/landfall.conf",
        0o644,
        &packaging.join("systemd/landfall.sysusers"),
    ));
    tree.add(Entry::file(
        "etc/landfall/landfall.toml",
        0o644,
        &packaging.join("landfall.toml"),
    ));
    tree.add(Entry::file(
        "usr/share/lintian/overrides/landfall",
        0o644,
        &packaging.join("debian/lintian-overrides"),
    ));
    let doc = |name: &str| format!("{DOC}/{name}");
    tree.add(Entry::file(
        &doc("copyright"),
        0o644,
        &packaging.join("debian/copyright"),
    ));
    tree.add(Entry::text(&doc("changelog.Debian"), 0o644, changelog));
    tree.add(Entry::file(
        &doc("changelog"),
        0o644,
        &root.join("CHANGELOG.md"),
    ));
    for file in ["README.md", "SECURITY.md"] {
        tree.add(Entry::file(&doc(file), 0o644, &root.join(file)));
    }
    tree.add(Entry::text(&doc("THIRD-PARTY.md"), 0o644, notices));
    tree.add_folder(&doc("docs"), &root.join("docs"))?;
    shell.place(&mut tree, &IN_SYSTEM);
    Ok(tree)
}

/// The control files: what `dpkg` reads and runs.
fn control(bytes: u64, sums: &str) -> anyhow::Result<Tree> {
    let folder = step::root().join("packaging").join("debian");
    let text = std::fs::read_to_string(folder.join("control"))
        .context("packaging/debian/control cannot be read")?;
    let mut tree = Tree::default();
    tree.add(Entry::text("control", 0o644, &filled(&text, bytes)));
    tree.add(Entry::text("md5sums", 0o644, sums));
    tree.add(Entry::text(
        "conffiles",
        0o644,
        "/etc/landfall/landfall.toml\n",
    ));
    for script in ["postinst", "prerm", "postrm"] {
        tree.add(Entry::file(script, 0o755, &folder.join(script)));
    }
    Ok(tree)
}

/// The control file with its computed fields; the installed size is in units of 1024 bytes.
fn filled(text: &str, bytes: u64) -> String {
    text.replace("@VERSION@", &format!("{VERSION}-{REVISION}"))
        .replace("@MAINTAINER@", MAINTAINER)
        .replace("@INSTALLED_SIZE@", &bytes.div_ceil(1024).to_string())
}

/// The changelog of the packaging, in Debian's form.
fn changelog(date: &str) -> String {
    format!(
        "landfall ({VERSION}-{REVISION}) unstable; urgency=medium\n\n  * See changelog.gz for what changed.\n\n -- {MAINTAINER}  {date}\n"
    )
}

/// A time as mails write it.
fn date(epoch: u64) -> anyhow::Result<String> {
    let said = Command::new("date")
        .args(["--utc", "--rfc-email", "--date"])
        .arg(format!("@{epoch}"))
        .env("LC_ALL", "C")
        .output()
        .context("date cannot be started")?;
    ensure!(said.status.success(), "date failed: {}", said.status);
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The checksums of everything that is installed, but for what an administrator may change.
fn sums(staged: &Path) -> anyhow::Result<String> {
    let done = Command::new("sh")
        .args([
            "-c",
            "find usr lib -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum",
        ])
        .current_dir(staged)
        .output()
        .context("sh cannot be started")?;
    ensure!(done.status.success(), "md5sum failed: {}", done.status);
    String::from_utf8(done.stdout).context("a file's name is not UTF-8")
}

/// Documents that Debian wants compressed have another name in the package.
fn zipped(line: &str) -> String {
    let log = ["/changelog", "/changelog.Debian"];
    match log.iter().any(|name| line.ends_with(name)) {
        true => format!("{line}.gz"),
        false => line.to_owned(),
    }
}

/// What a package holds, as `MODE PATH`, in the order of the paths; all of it must be root's.
fn listed(package: &Path) -> anyhow::Result<Vec<String>> {
    let done = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(package)
        .env("LC_ALL", "C")
        .output()
        .context("dpkg-deb cannot be started")?;
    ensure!(done.status.success(), "dpkg-deb failed: {}", done.status);
    let said = String::from_utf8(done.stdout).context("a file's name is not UTF-8")?;
    let mut files = Vec::new();
    for line in said.lines().filter(|line| !line.starts_with('d')) {
        files.push(listed_file(line).with_context(|| format!("not understood: {line}"))?);
    }
    files.sort_by(|a, b| path(a).cmp(path(b)));
    Ok(files)
}

fn path(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, path)| path)
}

/// `-rwxr-xr-x root/root 123 2030-01-01 00:00 ./usr/bin/x` as `755 usr/bin/x`.
fn listed_file(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (mode, owner) = (words.next()?, words.next()?);
    let path = words.nth(3)?.strip_prefix("./")?;
    if !mode.starts_with('-') || owner != "root/root" {
        return None;
    }
    let bits = mode
        .get(1..10)?
        .bytes()
        .fold(0_u32, |bits, letter| bits << 1 | u32::from(letter != b'-'));
    Some(format!("{bits:o} {path}"))
}

/// Fails with what is missing or too much.
fn compare(meant: &[String], there: &[String]) -> anyhow::Result<()> {
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        let missing = these.iter().filter(|line| !those.contains(line));
        missing.cloned().collect()
    };
    let (missing, extra) = (without(meant, there), without(there, meant));
    ensure!(
        missing.is_empty() && extra.is_empty(),
        "the package is not what was meant: missing {missing:?}, too much {extra:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packaging(name: &str) -> String {
        std::fs::read_to_string(step::root().join("packaging").join(name)).expect(name)
    }

    #[test]
    fn the_package_holds_what_debian_and_the_service_need() {
        let tree = tree(
            Path::new("landfall"),
            "",
            &Printed::named(&["landfall.1.gz"]),
            "",
        )
        .expect("listed");
        let listing = tree.listing();
        for wanted in [
            "755 usr/bin/landfall",
            "644 lib/systemd/system/landfall.service",
            "644 lib/systemd/system/landfall.socket",
            "644 usr/lib/sysusers.d/landfall.conf",
            "644 etc/landfall/landfall.toml",
            "644 usr/share/doc/landfall/copyright",
            "644 usr/share/doc/landfall/docs/operating/install.md",
            "644 usr/share/man/man1/landfall.1.gz",
            "644 usr/share/bash-completion/completions/landfall",
            "644 usr/share/zsh/vendor-completions/_landfall",
            "644 usr/share/fish/vendor_completions.d/landfall.fish",
        ] {
            assert!(listing.iter().any(|line| line == wanted), "{wanted}");
        }
    }

    #[test]
    fn the_control_file_has_no_field_left_open() {
        let text = filled(&packaging("debian/control"), 2049);
        assert!(
            !text.contains('@') || text.matches('@').count() == 1,
            "{text}"
        );
        assert!(text.contains("\nInstalled-Size: 3\n"));
        assert!(text.starts_with("Package: landfall\nVersion: 0."));
    }

    #[test]
    fn the_unit_stays_closed() {
        let unit = packaging("systemd/landfall.service");
        for line in [
            "Type=notify",
            "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
            "User=landfall",
            "UMask=0077",
            "StateDirectory=landfall",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
            "RestrictNamespaces=yes",
            "LockPersonality=yes",
            "MemoryDenyWriteExecute=yes",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged @resources",
            "RestartPreventExitStatus=2",
        ] {
            assert!(unit.lines().any(|there| there == line), "{line} is gone");
        }
    }

    #[test]
    fn the_shipped_configuration_listens_on_this_machine_alone() {
        let text = packaging("landfall.toml");
        let table: toml::Table = toml::from_str(&text).expect("TOML");
        let listen = &table["https"]["listen"];
        assert_eq!(listen.as_array().expect("a list").len(), 2);
        assert_eq!(listen[0].as_str(), Some("127.0.0.1:443"));
        assert_eq!(listen[1].as_str(), Some("127.0.0.1:8883"));
        assert_eq!(table["data_dir"].as_str(), Some("/var/lib/landfall"));
        assert_eq!(table["admin"]["listen"].as_str(), Some("127.0.0.1:9080"));
    }

    #[test]
    fn lines_of_a_package_are_read_and_foreign_owners_refused() {
        let line = "-rwxr-x--- root/root      123 2030-01-01 00:00 ./usr/bin/x";
        assert_eq!(listed_file(line).as_deref(), Some("750 usr/bin/x"));
        assert_eq!(listed_file(&line.replace("root/root", "me/me")), None);
    }

    #[test]
    fn a_package_with_too_much_or_too_little_fails() {
        let lines = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(compare(&lines("a,b"), &lines("b,a")).is_ok());
        assert!(compare(&lines("a,b"), &lines("a")).is_err());
        assert!(compare(&lines("a"), &lines("a,b")).is_err());
    }
}
