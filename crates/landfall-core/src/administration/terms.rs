//! The terms of an enrollment as an operator asks for them, and the rules they keep.

use crate::clock::Timestamp;
use crate::enrollment::{
    AllocationPolicy, CustomAllocation, DeviceCapabilities, EnrollmentTerms, InitialTwin,
    ProvisioningStatus, ReprovisionPolicy,
};
use crate::error::Error;
use crate::id::{Etag, HubHostName};
use crate::service::ProvisioningService;
use crate::twin::check_initial;

/// The oldest api version in which a webhook can be asked.
const OLDEST_WEBHOOK_VERSION: &str = "2018-09-01";

/// Longest webhook URL that is stored.
const LONGEST_WEBHOOK_URL: usize = 2048;

/// The terms of an enrollment as they were asked for. What is not said has its default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TermsRequest {
    /// See [`EnrollmentTerms::status`].
    pub status: ProvisioningStatus,
    /// See [`EnrollmentTerms::reprovision`].
    pub reprovision: Option<ReprovisionPolicy>,
    /// See [`EnrollmentTerms::allocation`].
    pub allocation: Option<AllocationPolicy>,
    /// See [`EnrollmentTerms::hubs`].
    pub hubs: Vec<HubHostName>,
    /// See [`EnrollmentTerms::legacy_hub`].
    pub legacy_hub: Option<HubHostName>,
    /// See [`EnrollmentTerms::custom_allocation`].
    pub custom_allocation: Option<CustomAllocation>,
    /// See [`EnrollmentTerms::capabilities`].
    pub capabilities: DeviceCapabilities,
    /// See [`EnrollmentTerms::initial_twin`].
    pub initial_twin: Option<InitialTwin>,
    /// See [`EnrollmentTerms::extra`].
    pub extra: Vec<(String, String)>,
}

impl TermsRequest {
    /// Holds the request against the service and gives the terms to store.
    ///
    /// Source: docs/protocol/service-api.md §3.2, §6 [S, R, I].
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the rule that is broken.
    pub fn admit(
        &self,
        service: &ProvisioningService,
        etag: Etag,
        created: Timestamp,
        updated: Timestamp,
    ) -> Result<EnrollmentTerms, Error> {
        let (allocation, hubs, legacy_hub) = self.target();
        for hub in &hubs {
            if !service.linked_hubs.iter().any(|l| l.host_name == *hub) {
                return Err(Error::Invalid(format!(
                    "IoT hub '{hub}' is not linked to the provisioning service."
                )));
            }
        }
        match allocation.unwrap_or(service.allocation) {
            AllocationPolicy::Static if hubs.len() != 1 => {
                return Err(Error::Invalid(
                    "Exactly one IoT hub is required when the allocation policy is 'static'."
                        .to_owned(),
                ));
            }
            AllocationPolicy::Custom if self.custom_allocation.is_none() => {
                return Err(Error::Invalid(
                    "A customAllocationDefinition is required when the allocation policy is \
                     'custom'."
                        .to_owned(),
                ));
            }
            AllocationPolicy::Static
            | AllocationPolicy::Custom
            | AllocationPolicy::Hashed
            | AllocationPolicy::GeoLatency => {}
        }
        if let Some(webhook) = &self.custom_allocation {
            check_webhook(webhook)?;
        }
        if let Some(twin) = &self.initial_twin {
            check_initial(twin)
                .map_err(|error| Error::Invalid(format!("initialTwin: {error}.")))?;
        }
        Ok(EnrollmentTerms {
            status: self.status,
            reprovision: self.reprovision,
            allocation,
            hubs,
            legacy_hub,
            custom_allocation: self.custom_allocation.clone(),
            capabilities: self.capabilities,
            initial_twin: self.initial_twin.clone(),
            extra: self.extra.clone(),
            etag,
            created,
            updated,
        })
    }

    /// The policy and hubs that are meant. The deprecated single target stands for the static
    /// policy with that one hub; it is dropped when the newer members say something else, since a
    /// client that reads, changes and writes a record sends it along.
    fn target(
        &self,
    ) -> (
        Option<AllocationPolicy>,
        Vec<HubHostName>,
        Option<HubHostName>,
    ) {
        let mut hubs: Vec<HubHostName> = Vec::new();
        for hub in &self.hubs {
            if !hubs.contains(hub) {
                hubs.push(hub.clone());
            }
        }
        match &self.legacy_hub {
            Some(hub)
                if matches!(self.allocation, None | Some(AllocationPolicy::Static))
                    && (hubs.is_empty() || hubs == [hub.clone()]) =>
            {
                (
                    Some(AllocationPolicy::Static),
                    vec![hub.clone()],
                    Some(hub.clone()),
                )
            }
            Some(_) | None => (self.allocation, hubs, None),
        }
    }
}

/// The date of an api version of the form `YYYY-MM-DD` or `YYYY-MM-DD-preview`.
pub fn version_date(text: &str) -> Option<&str> {
    let date = text.get(..10)?;
    let rest = text.get(10..)?;
    let digits = |range| {
        let part: &str = date.get(range)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse::<u16>().ok())?
    };
    let hyphens = date.get(4..5) == Some("-") && date.get(7..8) == Some("-");
    let dated = digits(0..4).is_some()
        && digits(5..7).is_some_and(|month| (1..=12).contains(&month))
        && digits(8..10).is_some_and(|day| (1..=31).contains(&day));
    (hyphens && dated && (rest.is_empty() || rest.eq_ignore_ascii_case("-preview"))).then_some(date)
}

fn check_webhook(webhook: &CustomAllocation) -> Result<(), Error> {
    let url = &webhook.webhook_url;
    let rest = url
        .get(..8)
        .filter(|scheme| scheme.eq_ignore_ascii_case("https://"))
        .and_then(|_| url.get(8..))
        .filter(|_| url.len() <= LONGEST_WEBHOOK_URL && url.bytes().all(|b| b.is_ascii_graphic()));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':')) {
        // The URL may hold a key in its query, so the message does not repeat it.
        return Err(Error::Invalid(
            "customAllocationDefinition.webhookUrl must be an absolute https URL.".to_owned(),
        ));
    }
    if version_date(&webhook.api_version).is_none_or(|date| date < OLDEST_WEBHOOK_VERSION) {
        return Err(Error::Invalid(
            "customAllocationDefinition.apiVersion must be 2018-09-01-preview or later.".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
