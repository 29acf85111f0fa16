//! What falls out of the streams, as the core gives it away.

use watershed_rules::ReferenceTables;

use super::Core;
use crate::books::{Books, Limits};
use crate::{inventory, lifecycle};

impl Core {
    /// From now on keeps an inventory and the lifecycle of access. Comes before [`Core::restore`].
    pub fn keep_books(&mut self, limits: Limits) {
        self.books = Some(Books::new(limits));
    }

    /// From now on the inventory is held against these tables, and first moves name what they say.
    pub fn refer_to(&mut self, reference: ReferenceTables) {
        self.known.refer_to(&reference);
        if let Some(books) = &mut self.books {
            books.refer_to(reference);
        }
    }

    /// What there is and what is wrong with it; none where no books are kept.
    pub fn inventory(&self, options: &inventory::Options) -> Option<inventory::Report> {
        let names = self.principals.names().read();
        let canonical = |tenant: &str, id: &str| names.canonical(tenant, id).to_owned();
        Some(self.books.as_ref()?.inventory(options, &canonical))
    }

    /// What was said of access and when it was so; none where no books are kept.
    pub fn lifecycle(&self, options: &lifecycle::Options) -> Option<lifecycle::Report> {
        let names = self.principals.names().read();
        let canonical = |tenant: &str, id: &str| names.canonical(tenant, id).to_owned();
        Some(self.books.as_ref()?.lifecycle(options, &canonical))
    }
}
