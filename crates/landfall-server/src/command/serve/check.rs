//! `landfall serve --check`: configuration and certificates judged as a start would judge them, with
//! nothing opened, bound or written.

use std::sync::Arc;

use crate::command::outcome::Failure;
use crate::command::print;
use crate::config::Settings;
use crate::serve_identity::ServeIdentity;
use crate::time::SystemClock;

/// Says what would be served and what somebody should act on.
///
/// # Errors
/// [`Failure`] for what a start would refuse.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let identity = ServeIdentity::open(&settings.https, Arc::new(SystemClock))?;
    let names: Vec<(String, String)> = settings
        .services
        .iter()
        .flat_map(|service| {
            let whose = format!("provisioning service '{}'", service.name);
            let hub = format!("the hub of {whose}");
            [
                (service.host_name.clone(), whose),
                (service.hub_host_name.clone(), hub),
            ]
        })
        .collect();
    let mut lines = vec![format!("data folder  {}", settings.data_dir.display())];
    let listen = settings.https.listen.iter();
    lines.extend(listen.map(|address| format!("listen       {address}")));
    lines.push(format!("admin        {}", settings.admin_listen));
    let certificates = identity.described().into_iter();
    lines.extend(certificates.map(|text| format!("certificate  {text}")));
    let remarks = identity.remarks(&names).into_iter();
    lines.extend(remarks.map(|remark| format!("warning: {}", remark.text)));
    lines.push("Configuration and certificates can be served.".to_owned());
    print::text(&(lines.join("\n") + "\n"));
    Ok(())
}
