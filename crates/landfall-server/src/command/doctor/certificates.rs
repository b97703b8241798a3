//! Whether clients will take what the server shows: each certificate with its key and its time, the host
//! names of configuration and database in them, and the authority that clients are told to trust.

use std::collections::BTreeSet;
use std::sync::Arc;

use landfall_core::certificate::Certificate;
use landfall_store::examination::Named;

use super::finding::Report;
use crate::config::{Https, Settings};
use crate::serve_identity::{ServeIdentity, ServeIdentityError};
use crate::time::SystemClock;
use crate::tls::certificates;

/// Looks at every certificate, then for every host name, then at the authority.
pub fn look(report: &mut Report, settings: &Settings, kept: &[Named]) {
    let mut usable = settings.https.clone();
    usable.ca_file = None;
    usable.certificates.clear();
    for files in &settings.https.certificates {
        let alone = Https {
            certificates: vec![files.clone()],
            ..usable.clone()
        };
        match ServeIdentity::open(&alone, Arc::new(SystemClock)) {
            Ok(identity) => {
                told(report, &identity);
                usable.certificates.push(files.clone());
            }
            Err(error) => refused(report, &error),
        }
    }
    if usable.certificates.is_empty() {
        // What they lack is told already.
        return;
    }
    names(report, &usable, &wanted(settings, kept));
    authority(report, settings, &usable);
}

fn told(report: &mut Report, identity: &ServeIdentity) {
    for text in identity.described() {
        report.fine("certificate", &text);
    }
    for remark in identity.remarks(&[]) {
        let (what, fix) = remark.text.split_once("; ").unwrap_or((&remark.text, ""));
        let fix = match fix {
            "" => "put a chain there whose every certificate is good",
            fix => fix,
        };
        report.warning("certificate", what, fix);
    }
}

fn refused(report: &mut Report, error: &ServeIdentityError) {
    report.failure("certificate", &error.to_string(), error.fix());
}

/// The names that clients ask for, each with whose it is; those of the database win, since a service of the
/// configuration is only made when the database is empty.
fn wanted(settings: &Settings, kept: &[Named]) -> Vec<(String, String)> {
    if !kept.is_empty() {
        let mut seen = BTreeSet::new();
        let names = kept.iter().filter(|name| seen.insert(&name.host));
        return names
            .map(|name| (name.host.clone(), name.whose.clone()))
            .collect();
    }
    let of_service = |service: &crate::config::FirstService| {
        let whose = format!("provisioning service '{}'", service.name);
        let hub = format!("the hub of {whose}");
        [
            (service.host_name.clone(), whose),
            (service.hub_host_name.clone(), hub),
        ]
    };
    settings.services.iter().flat_map(of_service).collect()
}

fn names(report: &mut Report, usable: &Https, wanted: &[(String, String)]) {
    let Ok(identity) = ServeIdentity::open(usable, Arc::new(SystemClock)) else {
        return;
    };
    let shown = identity.shown();
    let (held, missing): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|(name, _)| shown.carries(name));
    if !held.is_empty() {
        let all: Vec<&str> = held.iter().map(|(name, _)| name.as_str()).collect();
        report.fine("names", &format!("a certificate holds {}", all.join(", ")));
    }
    for (name, whose) in missing {
        report.failure(
            "names",
            &format!("no certificate holds '{name}', by which {whose} goes: clients that ask for it refuse to connect"),
            "put a certificate that holds it into https.certificates, or into a file that is named there, which is read again when it changes",
        );
    }
}

/// Whether whoever trusts the configured authority trusts what is shown.
fn authority(report: &mut Report, settings: &Settings, usable: &Https) {
    let Some(file) = &settings.https.ca_file else {
        return;
    };
    let alone = Https {
        certificates: Vec::new(),
        ..settings.https.clone()
    };
    if let Err(error) = ServeIdentity::open(&alone, Arc::new(SystemClock)) {
        return refused(report, &error);
    }
    let authorities = read(file);
    let mut doubted = false;
    for files in &usable.certificates {
        let chain = read(&files.chain);
        let trusted = chain.iter().any(|link| {
            let signs =
                |ca: &Certificate| ca.sha256() == link.sha256() || link.signed_by(ca).is_ok();
            authorities.iter().any(signs)
        });
        if !trusted {
            doubted = true;
            report.failure(
                "authority",
                &format!(
                    "{} did not sign {}: clients that trust it alone refuse the server",
                    file.display(),
                    files.chain.display()
                ),
                "name the certificate of the authority that signed it in https.ca_file, or leave that out when it is a public one",
            );
        }
    }
    if !doubted {
        report.fine(
            "authority",
            &format!("{} signed what is shown", file.display()),
        );
    }
}

fn read(file: &std::path::Path) -> Vec<Certificate> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let all = certificates(&text).unwrap_or_default();
    all.iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .collect()
}
