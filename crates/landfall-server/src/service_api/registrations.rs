//! Calls about registrations: read, delete, and the listing of a group's.

use http::StatusCode;
use landfall_core::error::Error;
use landfall_core::query::Page;
use landfall_core::store::Store;
use landfall_wire::device::{View, registration_state_json};
use landfall_wire::message::Reply;
use landfall_wire::service::paging::{self, ItemType};
use landfall_wire::service::{group_id, registration_id};

use super::{Call, marked};

impl<S: Store> Call<'_, S> {
    pub(super) async fn read_registration(&self, id: &str) -> Result<Reply, Error> {
        let state = self
            .administration
            .registration(&registration_id(id)?)
            .await?;
        let body = registration_state_json(&state, View::Service);
        Ok(marked(Reply::json(StatusCode::OK, &body), &state.etag))
    }

    pub(super) async fn delete_registration(&self, id: &str) -> Result<Reply, Error> {
        self.administration
            .delete_registration(&registration_id(id)?, &self.condition()?)
            .await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// The body, which some clients send and others do not, is passed over.
    pub(super) async fn query_registrations(&self, group: &str) -> Result<Reply, Error> {
        let paging = paging::parse(self.request, ItemType::DeviceRegistration)?;
        let page = self
            .administration
            .registrations_of_group(&group_id(group)?, paging.after, paging.limit)
            .await?;
        let page = Page {
            items: page
                .items
                .iter()
                .map(|state| registration_state_json(state, View::Service))
                .collect(),
            continuation: page.continuation,
        };
        Ok(paging::reply(
            page,
            ItemType::DeviceRegistration,
            paging.limit,
        ))
    }
}
