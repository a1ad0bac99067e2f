//! The regions in which SecMaster has an endpoint.

/// The regions of the vendor's SDK table (`secmaster_region`, 3.1.219), sorted.
pub const REGIONS: [&str; 28] = [
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-11",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-southwest-2",
    "cn-southwest-3",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "sa-brazil-1",
    "tr-west-1",
];

/// The endpoint of `region`, if the vendor's table has the region.
pub fn endpoint(region: &str) -> Option<String> {
    REGIONS
        .binary_search(&region)
        .ok()
        .map(|_| format!("https://secmaster.{region}.myhuaweicloud.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_knows_its_hosts() {
        assert!(REGIONS.is_sorted());
        assert_eq!(
            endpoint("cn-north-4").as_deref(),
            Some("https://secmaster.cn-north-4.myhuaweicloud.com")
        );
        assert_eq!(endpoint("cn-north-44"), None);
    }
}
