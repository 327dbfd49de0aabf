//! The state of the fake: accounts, zones, pools, balancers, records and tokens.
//!
//! A test reads and edits it as the dashboard does, past every check. This module knows nothing of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::idn;
use crate::rate_limit::RateLimit;

/// Everything that one user of Cloudflare has, each entity by its ID.
#[derive(Debug, Default)]
pub struct Store {
    /// The accounts.
    pub accounts: BTreeMap<String, FakeAccount>,
    /// The zones of all accounts.
    pub zones: BTreeMap<String, FakeZone>,
    /// The API tokens, by their value.
    pub tokens: BTreeMap<String, FakeToken>,
    /// The limit on calls, and the calls counted so far.
    pub rate_limit: RateLimit,
    /// If true, every `ttl` in a response is rendered with a fraction, as `60.0`. JSON has only numbers, and the SDKs type it
    /// as one. No report of the service shows the fraction.
    pub fractional_ttl: bool,
    /// The refusal of what a token may not do or does not reach.
    pub unauthorized: UnauthorizedError,
    /// The refusal to delete a pool in use.
    pub pool_in_use: PoolInUseError,
    /// The refusal of a record that exists already.
    pub duplicate_record: DuplicateError,
    pub(crate) ids: IdGenerator,
}

/// One account.
#[derive(Debug)]
pub struct FakeAccount {
    /// Its name, as the zones show it.
    pub name: String,
    /// True if it pays for Load Balancing. Without it no pool can be written.
    pub has_load_balancing: bool,
    /// The number of origins that a pool may have.
    pub max_origins: usize,
    /// The pools as the API renders them, but with their origins in the order of the last write.
    pub pools: BTreeMap<String, Value>,
    /// The `pop_health` of each pool. Nothing is known of a pool that is missing here.
    pub health: BTreeMap<String, Value>,
}

/// One zone.
#[derive(Debug)]
pub struct FakeZone {
    /// Its name in Unicode or Punycode, without a dot at the end. The API shows it in Unicode.
    pub name: String,
    /// The way in which Cloudflare serves it.
    pub zone_type: FakeZoneType,
    /// The plan that its owner pays for.
    pub plan: FakeZonePlan,
    /// The id of its account.
    pub account: String,
    /// `active` when its name servers are Cloudflare's. Others are `initializing`, `pending`, `moved`, `deleted` and
    /// `deactivated`.
    pub status: &'static str,
    /// True if Cloudflare serves only its DNS, without proxying.
    pub paused: bool,
    /// True if the zone may have load balancers.
    pub has_load_balancing: bool,
    /// The load balancers as the API renders them.
    pub balancers: BTreeMap<String, Value>,
    /// The DNS records as the API renders them.
    pub records: BTreeMap<String, Value>,
}

/// The plan of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeZonePlan {
    /// TTL from 60, comments of 100 characters, no tags.
    Free,
    /// TTL from 60, comments of 500 characters.
    Pro,
    /// TTL from 30, comments of 500 characters.
    Enterprise,
}

/// The way in which Cloudflare serves a zone, as the SDK of 2026-10 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeZoneType {
    /// The name servers are Cloudflare's.
    Full,
    /// The name servers are another provider's. CNAME records there lead to Cloudflare.
    Partial,
    /// Cloudflare takes the records from another provider. They have no comments.
    Secondary,
    /// For resolvers within a network. It is only listed if the type is asked for.
    Internal,
}

/// The refusal of a call without its permission, or of an account or zone that the token does not reach. The service tells
/// nothing of whether it exists. People report both, with status 403.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnauthorizedError {
    /// Code 10000, "Authentication error".
    #[default]
    Authentication,
    /// Code 9109, "Unauthorized to access requested resource", as in octodns-cloudflare #60 for zones.
    Resource,
}

/// The refusal to delete a pool in use. People report both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolInUseError {
    /// 412 and code 1005, as in Terraform's provider #66.
    #[default]
    PreconditionFailed,
    /// 400 and code 1002. Its exact text is not verified.
    ValidationFailed,
}

/// The refusal of a record that exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateError {
    /// Code 81058, "An identical record already exists."
    #[default]
    Identical,
    /// Code 81057, "The record already exists.", as in reports before 2023.
    Exists,
}

/// An API token.
#[derive(Clone, Debug)]
pub struct FakeToken {
    /// The status that verifying the token reports.
    pub status: FakeTokenStatus,
    /// The permissions of the token.
    pub scopes: BTreeSet<Scope>,
    /// The account that owns it and bounds it. A token of a user has none, and reaches every account.
    pub account: Option<String>,
    /// The verdict on the address that its calls come from.
    pub location: TokenLocation,
}

/// The verdict on the address that calls of a token come from. A token can be restricted to addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenLocation {
    /// The token allows it.
    #[default]
    Allowed,
    /// The token does not allow this address: 403 and code 9109 for every call.
    Refused(IpAddr),
    /// As [`TokenLocation::Refused`], but verifying the token succeeds. One report shows this, for a token of an account.
    RefusedButVerified(IpAddr),
}

/// The status of a token, as verifying it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeTokenStatus {
    /// In use.
    Active,
    /// Switched off by its owner.
    Disabled,
    /// Past its end.
    Expired,
}

/// One permission of a token. A permission to write includes the one to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Account: "Load Balancing: Monitors and Pools Read".
    PoolsRead,
    /// Account: "Load Balancing: Monitors and Pools Write".
    PoolsWrite,
    /// Zone: "Load Balancers Read".
    BalancersRead,
    /// Zone: "Load Balancers Write".
    BalancersWrite,
    /// Zone: "DNS Read".
    DnsRead,
    /// Zone: "DNS Write".
    DnsWrite,
    /// Zone: "Zone Read".
    ZoneRead,
}

/// The IDs of the entities that [`Store::example`] creates.
#[derive(Clone, Debug)]
pub struct Example {
    /// The account.
    pub account: String,
    /// The zone `kube-cp.com`.
    pub zone: String,
    /// The pool `kube-cp` of three origins, all enabled, without a monitor.
    pub pool: String,
    /// The balancer `lb.kube-cp.com` of that pool, not proxied.
    pub balancer: String,
}

/// A new object of the store, as the API shows it, and its ID.
pub(crate) struct NewObject {
    pub(crate) id: String,
    pub(crate) object: Value,
}

/// Generates IDs and times that never repeat.
#[derive(Debug, Default)]
pub(crate) struct IdGenerator(u64);

impl Store {
    /// Adds an account with a free zone, a pool of three origins, and a balancer that uses the pool.
    pub fn example(&mut self) -> Example {
        let account = self.add_account();
        let zone = self.add_zone(&account, "kube-cp.com", FakeZonePlan::Free);
        let origins: Vec<_> =
            (1..=3).map(|n| json!({"name": format!("kube-cp-{n}"), "address": format!("192.0.2.{n}")})).collect();
        let pool = self.add_pool(&account, json!({"name": "kube-cp", "origins": origins}));
        let balancer = json!({"name": "lb.kube-cp.com", "default_pools": [pool], "fallback_pool": pool});
        let balancer = self.add_balancer(&zone, balancer);
        Example { account, zone, pool, balancer }
    }

    /// Adds an account. Returns its ID.
    pub fn add_account(&mut self) -> String {
        let id = self.ids.id();
        let account = FakeAccount {
            name: "Daymark".to_owned(),
            has_load_balancing: true,
            max_origins: 20,
            pools: BTreeMap::new(),
            health: BTreeMap::new(),
        };
        self.accounts.insert(id.clone(), account);
        id
    }

    /// Adds an active, full zone. Returns its ID.
    pub fn add_zone(&mut self, account: &str, name: &str, plan: FakeZonePlan) -> String {
        let id = self.ids.id();
        let zone = FakeZone {
            name: name.to_owned(),
            zone_type: FakeZoneType::Full,
            plan,
            account: account.to_owned(),
            status: "active",
            paused: false,
            has_load_balancing: true,
            balancers: BTreeMap::new(),
            records: BTreeMap::new(),
        };
        self.zones.insert(id.clone(), zone);
        id
    }

    /// Adds an active token of a user, with these scopes. Returns its value.
    pub fn add_token(&mut self, scopes: impl IntoIterator<Item = Scope>) -> String {
        self.insert_token(None, scopes.into_iter().collect())
    }

    /// Adds an active token that this account owns, with these scopes. Returns its value.
    pub fn add_account_token(&mut self, account: &str, scopes: impl IntoIterator<Item = Scope>) -> String {
        self.insert_token(Some(account.to_owned()), scopes.into_iter().collect())
    }

    fn insert_token(&mut self, account: Option<String>, scopes: BTreeSet<Scope>) -> String {
        let value = format!("fake_{}", &self.ids.id()[..31]);
        let location = TokenLocation::default();
        self.tokens.insert(value.clone(), FakeToken { status: FakeTokenStatus::Active, scopes, account, location });
        value
    }

    /// The token of this value.
    ///
    /// # Panics
    /// There is none.
    pub fn token(&mut self, value: &str) -> &mut FakeToken {
        self.tokens.get_mut(value).expect("a token of that value")
    }

    /// The account of this ID.
    ///
    /// # Panics
    /// There is none.
    pub fn account(&mut self, id: &str) -> &mut FakeAccount {
        self.accounts.get_mut(id).expect("an account of that id")
    }

    /// The zone of this ID.
    ///
    /// # Panics
    /// There is none.
    pub fn zone(&mut self, id: &str) -> &mut FakeZone {
        self.zones.get_mut(id).expect("a zone of that id")
    }

    /// The pool of this ID, of any account.
    ///
    /// # Panics
    /// There is none.
    pub fn pool(&mut self, id: &str) -> &mut Value {
        self.accounts.values_mut().find_map(|account| account.pools.get_mut(id)).expect("a pool of that id")
    }

    /// The balancer of this ID, of any zone.
    ///
    /// # Panics
    /// There is none.
    pub fn balancer(&mut self, id: &str) -> &mut Value {
        self.zones.values_mut().find_map(|zone| zone.balancers.get_mut(id)).expect("a balancer of that id")
    }

    /// The record of this ID, of any zone.
    ///
    /// # Panics
    /// There is none.
    pub fn record(&mut self, id: &str) -> &mut Value {
        self.zones.values_mut().find_map(|zone| zone.records.get_mut(id)).expect("a record of that id")
    }
}

impl FakeZone {
    /// The name in Punycode, as records show it.
    pub(crate) fn ascii_name(&self) -> String {
        idn::to_ascii(&self.name)
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 7] = [
        Self::PoolsRead,
        Self::PoolsWrite,
        Self::BalancersRead,
        Self::BalancersWrite,
        Self::DnsRead,
        Self::DnsWrite,
        Self::ZoneRead,
    ];
}

impl IdGenerator {
    /// Returns 32 hex digits that look like an ID of Cloudflare's.
    pub(crate) fn id(&mut self) -> String {
        self.0 += 1;
        // Odd factors mix without ever giving one id twice.
        let mixed = u128::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        format!("{mixed:032x}")
    }

    /// Returns a time one second after the one before.
    pub(crate) fn time(&mut self) -> Value {
        self.0 += 1;
        let day = self.0 / 86_400 % 28 + 1;
        let second = self.0 % 86_400;
        let hour = second / 3_600;
        let minute = second / 60 % 60;
        let second = second % 60;
        Value::from(format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z"))
    }
}

/// The fields of an object of JSON.
///
/// # Panics
/// The value is no object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("an object is wanted, not {other}"),
    }
}
