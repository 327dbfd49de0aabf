//! The metrics of the answer of each pool, and of its targets.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use daymark_api::PoolStatus;
use daymark_decision::{AnswerStatus, Basis, Grade};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{PoolLabels, TargetLabels};

/// The metrics of the pools, as the driver last reported them.
#[derive(Clone, Default)]
pub(super) struct PoolMetrics {
    grade: Family<GradeLabels, Gauge>,
    in_answer: Family<TargetLabels, Gauge>,
    addresses: Family<PoolLabels, Gauge>,
    generation: Family<PoolLabels, Gauge<u64, AtomicU64>>,
    basis: Family<BasisLabels, Gauge>,
    ttl: Family<PoolLabels, Gauge>,
    local_errors: Family<PoolLabels, Gauge>,
    refused_credentials: Family<PoolLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GradeLabels {
    pool: String,
    node: String,
    address: String,
    grade: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BasisLabels {
    pool: String,
    family: &'static str,
    basis: &'static str,
}

impl PoolMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register("target_grade", "1 for the grade that this host gives the target", self.grade.clone());
        all.register("target_in_answer", "1 while the target is in the answer", self.in_answer.clone());
        all.register("pool_answer_addresses", "Addresses in the answer of the pool", self.addresses.clone());
        all.register("pool_generation", "Generation of the answer of the pool", self.generation.clone());
        all.register(
            "pool_basis",
            "1 for the basis of the answer of the pool in the address family",
            self.basis.clone(),
        );
        all.register("pool_ttl_seconds", "TTL of the answer of the pool", self.ttl.clone());
        all.register(
            "pool_local_error_targets",
            "Targets that this host cannot probe because of a local error",
            self.local_errors.clone(),
        );
        all.register(
            "pool_refused_credentials_targets",
            "Targets that refuse the credentials of the probes",
            self.refused_credentials.clone(),
        );
    }

    pub(super) fn fill(&self, pools: &[PoolStatus]) {
        self.grade.clear();
        self.in_answer.clear();
        self.addresses.clear();
        self.generation.clear();
        self.basis.clear();
        self.ttl.clear();
        self.local_errors.clear();
        self.refused_credentials.clear();
        for pool in pools {
            self.fill_pool(pool);
        }
    }

    fn fill_pool(&self, pool: &PoolStatus) {
        let of = PoolLabels { pool: pool.name.to_string() };
        self.addresses.get_or_create(&of).set(i64::try_from(pool.addresses.len()).unwrap_or(i64::MAX));
        self.generation.get_or_create(&of).set(pool.generation);
        // A family that is not answered has no basis.
        let families: BTreeSet<_> =
            pool.targets.iter().map(|target| daymark_decision::Family::of(target.address)).collect();
        for family in families {
            for basis in Basis::ALL {
                let labels = BasisLabels { pool: of.pool.clone(), family: family.as_str(), basis: basis.as_str() };
                self.basis.get_or_create(&labels).set((pool.bases.get(&family) == Some(&basis)).into());
            }
        }
        self.ttl.get_or_create(&of).set(pool.ttl_seconds.into());
        self.local_errors.get_or_create(&of).set(i64::try_from(pool.local_error_count()).unwrap_or(i64::MAX));
        let refused = i64::try_from(pool.refused_credentials_count()).unwrap_or(i64::MAX);
        self.refused_credentials.get_or_create(&of).set(refused);
        for target in &pool.targets {
            let pool = of.pool.clone();
            let node = target.node.to_string();
            let address = target.address.to_string();
            for grade in Grade::ALL {
                let is_it = grade == target.grade;
                let pool = pool.clone();
                let node = node.clone();
                let address = address.clone();
                let grade = GradeLabels { pool, node, address, grade: grade.as_str() };
                self.grade.get_or_create(&grade).set(is_it.into());
            }
            self.in_answer
                .get_or_create(&TargetLabels { pool, node, address })
                .set((target.answer_status == AnswerStatus::In).into());
        }
    }
}
