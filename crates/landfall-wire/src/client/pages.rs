//! Lists that a server gives page by page, as its clients follow them.

use serde_json::Value as Json;

use super::draft::Draft;
use super::{ReplyError, read};
use crate::message::Reply;

/// The most items that one page may hold.
///
/// Source: docs/protocol/service-api.md §4.2 [I].
const LARGEST_PAGE: usize = 1000;

/// A list that comes in pages: says what to ask for next and collects what came, which may hold keys:
/// it has no `Debug`.
#[derive(Clone)]
pub struct Pages {
    top: Option<usize>,
    continuation: Option<String>,
    finished: bool,
    received: usize,
    items: Vec<Json>,
}

impl Pages {
    /// Begins a list of at most `top` items; of all when `None`.
    pub fn new(top: Option<usize>) -> Self {
        Pages {
            top,
            continuation: None,
            finished: top == Some(0),
            received: 0,
            items: Vec::new(),
        }
    }

    /// True while another page should be asked for.
    pub fn wants_more(&self) -> bool {
        !self.finished
    }

    fn size(&self) -> usize {
        self.top.map_or(LARGEST_PAGE, |top| {
            top.saturating_sub(self.received).min(LARGEST_PAGE)
        })
    }

    pub(super) fn mark(&self, draft: Draft) -> Draft {
        let draft = draft.header("x-ms-max-item-count", &self.size().to_string());
        match &self.continuation {
            Some(continuation) => draft.header("x-ms-continuation", continuation),
            None => draft,
        }
    }

    /// Takes in one page.
    ///
    /// # Errors
    /// [`ReplyError`] when the server refused or the body is no array.
    pub fn received(&mut self, reply: &Reply) -> Result<(), ReplyError> {
        let Json::Array(mut page) = read(reply)? else {
            return Err(ReplyError::Unreadable("a page is not an array".into()));
        };
        if let Some(top) = self.top {
            page.truncate(top.saturating_sub(self.received));
        }
        self.received += page.len();
        self.items.extend(page);
        let next = reply
            .headers
            .get("x-ms-continuation")
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned);
        // The same mark twice would ask for the same page for ever.
        self.finished = next.is_none()
            || next == self.continuation
            || self.top.is_some_and(|top| self.received >= top);
        self.continuation = next;
        Ok(())
    }

    /// Takes out what came so far: whoever follows a long list holds a page of it only.
    pub fn take_items(&mut self) -> Vec<Json> {
        std::mem::take(&mut self.items)
    }

    /// Everything that came.
    pub fn into_items(self) -> Vec<Json> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_are_followed_until_the_mark_is_gone_or_enough_came() {
        let page = |items: Json, next: Option<&str>| {
            let reply = Reply::json(StatusCode::OK, &items);
            match next {
                Some(next) => reply.with_header("x-ms-continuation", next),
                None => reply,
            }
        };
        let mut all = Pages::new(None);
        all.received(&page(json!([1, 2]), Some("m1")))
            .expect("page");
        assert!(all.wants_more());
        all.received(&page(json!([3]), None)).expect("page");
        assert!(!all.wants_more());
        assert_eq!(all.into_items(), vec![json!(1), json!(2), json!(3)]);

        let mut some = Pages::new(Some(3));
        assert_eq!(some.size(), 3);
        some.received(&page(json!([1, 2]), Some("m1")))
            .expect("page");
        assert_eq!(some.size(), 1);
        some.received(&page(json!([3, 4]), Some("m2")))
            .expect("page");
        assert!(!some.wants_more());
        assert_eq!(some.into_items().len(), 3);

        let mut taken = Pages::new(Some(3));
        taken
            .received(&page(json!([1, 2]), Some("m")))
            .expect("page");
        assert_eq!(taken.take_items(), [json!(1), json!(2)]);
        assert_eq!(taken.size(), 1);
        taken
            .received(&page(json!([3, 4]), Some("n")))
            .expect("page");
        assert!(!taken.wants_more());
        assert_eq!(taken.into_items(), [json!(3)]);
    }
}
