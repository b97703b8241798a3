//! The calls that `landfall enrollment` and `landfall group` share: each command says which kind of
//! record it is about, how a list and a sheet of it look, and what to write.

use landfall_wire::client::service::{
    attestation_mechanism, delete_enrollment, enrollment, put_enrollment, query_enrollments,
};
use landfall_wire::route::Collection;
use serde_json::Value as Json;

use crate::command::connect::{Connect, Session};
use crate::command::outcome::Failure;
use crate::command::print;

/// A kind of record.
pub struct Kind {
    /// Where the service API keeps it.
    pub collection: Collection,
    /// What people call one; with an `s`, many.
    pub noun: &'static str,
    /// The columns of a list.
    pub columns: &'static [print::Column],
    /// The lines of one record's sheet.
    pub sheet: &'static [print::Column],
}

impl Kind {
    /// Makes a record and prints what the service made of it, with its keys when asked.
    pub async fn create(
        &self,
        connect: &Connect,
        id: &str,
        record: &Json,
        keys: bool,
    ) -> Result<(), Failure> {
        let mut session = connect.service().await?;
        self.put(connect, &mut session, id, record, None, keys)
            .await
    }

    /// Reads a record and prints it, with its keys when asked.
    pub async fn show(&self, connect: &Connect, id: &str, keys: bool) -> Result<(), Failure> {
        let mut session = connect.service().await?;
        let answer = self.read(&mut session, id).await?;
        self.print(connect, &mut session, id, answer, keys).await
    }

    /// Prints those that a query picks, at most `top`, without keys.
    pub async fn list(
        &self,
        connect: &Connect,
        query: &str,
        top: Option<usize>,
    ) -> Result<(), Failure> {
        let mut session = connect.service().await?;
        let found = session
            .all(top, |who, pages| {
                query_enrollments(who, self.collection, query, pages)
            })
            .await?;
        let mut list = Json::Array(found);
        print::without_keys(&mut list);
        print::result(connect.json, &list, |list| {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            print::table(self.columns, list, &format!("No {}s.", self.noun))
        });
        Ok(())
    }

    /// Reads a record as it is stored.
    pub async fn read(&self, session: &mut Session, id: &str) -> Result<Json, Failure> {
        let request = enrollment(&session.authorization, self.collection, id);
        session.call(request).await
    }

    /// Puts a record and prints what the service made of it, with its keys when asked.
    pub async fn put(
        &self,
        connect: &Connect,
        session: &mut Session,
        id: &str,
        record: &Json,
        etag: Option<&str>,
        keys: bool,
    ) -> Result<(), Failure> {
        let request = put_enrollment(&session.authorization, self.collection, id, record, etag);
        let answer = session.call(request).await?;
        self.print(connect, session, id, answer, keys).await
    }

    /// Removes a record.
    pub async fn delete(
        &self,
        connect: &Connect,
        id: &str,
        etag: Option<&str>,
    ) -> Result<(), Failure> {
        let mut session = connect.service().await?;
        let request = delete_enrollment(&session.authorization, self.collection, id, etag);
        session.call(request).await?;
        print::done(connect.json, &format!("Deleted {} {id}.", self.noun));
        Ok(())
    }

    async fn print(
        &self,
        connect: &Connect,
        session: &mut Session,
        id: &str,
        mut answer: Json,
        keys: bool,
    ) -> Result<(), Failure> {
        if keys {
            let request = attestation_mechanism(&session.authorization, self.collection, id);
            answer["attestation"] = session.call(request).await?;
        } else {
            print::without_keys(&mut answer);
        }
        print::result(connect.json, &answer, |record| {
            print::sheet(self.sheet, record)
        });
        Ok(())
    }
}
