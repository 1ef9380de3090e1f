//! `campaignctl` as its users run it: the real program against the real server and the real Kafka.

mod installation;

mod audiences;
mod backtest;
mod campaigns;
mod contexts;
mod coupons;
mod dead_letters;
mod doctor;
mod events;
mod reference;
mod schemas;
