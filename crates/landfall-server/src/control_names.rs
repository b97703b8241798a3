//! The fixed names under which this server's services stand on the control plane. A cloud account
//! has many subscriptions and resource groups; a server here has one of each.

/// The subscription of every service of this server.
pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
/// The resource group of every service of this server.
pub const RESOURCE_GROUP: &str = "landfall";
