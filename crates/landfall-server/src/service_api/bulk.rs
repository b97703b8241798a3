//! The bulk call.

use http::StatusCode;
use landfall_core::error::Error;
use landfall_core::store::Store;
use landfall_wire::message::Reply;
use landfall_wire::service::enrollment::EnrollmentBody;
use landfall_wire::service::{LARGEST_BULK_BODY, bulk, check_size};

use super::Call;

impl<S: Store> Call<'_, S> {
    pub(super) async fn bulk<E: EnrollmentBody>(&self) -> Result<Reply, Error> {
        check_size(&self.request.body, LARGEST_BULK_BODY)?;
        let (mode, items) = bulk::parse::<E>(&self.request.body)?;
        let refusals = self.administration.bulk(mode, items).await?;
        let body = bulk::result_json::<E>(&refusals);
        Ok(Reply::json(StatusCode::OK, &body))
    }
}
