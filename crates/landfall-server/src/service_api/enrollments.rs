//! Calls about enrollments of either kind: read, put, delete, query, attestation mechanism.

use http::StatusCode;
use landfall_core::administration::listing::Listing;
use landfall_core::error::Error;
use landfall_core::store::Store;
use landfall_wire::message::Reply;
use landfall_wire::query::parse_service_query;
use landfall_wire::route::Collection;
use landfall_wire::service::attestation::{Secrets, attestation_json};
use landfall_wire::service::enrollment::{EnrollmentBody, parse_put};
use landfall_wire::service::{LARGEST_BODY, check_size, paging, parse_query};

use super::{Call, marked};

impl<S: Store> Call<'_, S> {
    pub(super) async fn read<E: EnrollmentBody>(&self, id: &str) -> Result<Reply, Error> {
        let record: E = self.administration.enrollment(&E::parse_id(id)?).await?;
        self.show(&record).await
    }

    pub(super) async fn put<E: EnrollmentBody>(&self, id: &str) -> Result<Reply, Error> {
        check_size(&self.request.body, LARGEST_BODY)?;
        let request = parse_put::<E>(&self.request.body, &E::parse_id(id)?)?;
        let record = self
            .administration
            .put(&request, &self.condition()?)
            .await?;
        self.show(&record).await
    }

    pub(super) async fn delete<E: EnrollmentBody>(&self, id: &str) -> Result<Reply, Error> {
        self.administration
            .delete::<E>(&E::parse_id(id)?, &self.condition()?)
            .await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn attestation_mechanism<E: EnrollmentBody>(
        &self,
        id: &str,
    ) -> Result<Reply, Error> {
        let record: E = self.administration.enrollment(&E::parse_id(id)?).await?;
        let body = attestation_json(record.attestation(), Secrets::Shown);
        Ok(Reply::json(StatusCode::OK, &body).with_header("cache-control", "no-store"))
    }

    pub(super) async fn query<E: EnrollmentBody>(&self, which: Collection) -> Result<Reply, Error> {
        check_size(&self.request.body, LARGEST_BODY)?;
        let paging = paging::parse(self.request, E::ITEM_TYPE)?;
        let listing = Listing {
            filter: parse_service_query(&parse_query(&self.request.body)?, which.into())?,
            after: paging.after,
            limit: paging.limit,
        };
        let page = self
            .administration
            .list(&listing, |record: &E, state| record.render(state))
            .await?;
        Ok(paging::reply(page, E::ITEM_TYPE, paging.limit))
    }

    async fn show<E: EnrollmentBody>(&self, record: &E) -> Result<Reply, Error> {
        let state = self.administration.state_of(record).await?;
        let body = record.render(state.as_ref());
        Ok(marked(
            Reply::json(StatusCode::OK, &body),
            &record.terms().etag,
        ))
    }
}
