-- What a server may have appended behind `after_seq` and told nobody of. Owners are names of servers, as bytes.
CREATE TABLE fan_out_marks (
    channel   uuid   NOT NULL,
    after_seq bigint NOT NULL,
    owner     bytea  NOT NULL,
    PRIMARY KEY (owner, channel)
);

-- Until when each of them is alive at least, in milliseconds of its clock.
CREATE TABLE server_leases (
    lives_until bigint NOT NULL,
    owner       bytea  NOT NULL PRIMARY KEY
) WITH (fillfactor = 50);
