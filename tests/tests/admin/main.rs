//! The campaigns' API on a real Kafka and a real database.

mod client;
mod installation;
mod load;

mod access;
mod backup;
mod customers;
mod lifecycle;
mod matches;
mod replicas;
mod topic;
