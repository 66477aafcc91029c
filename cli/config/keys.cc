#include "cli/config/keys.h"

#include <array>

namespace tailrace {

namespace {
using enum ConfigKey::Type;

constexpr unsigned kAgent = 1;
constexpr unsigned kLocal = 2;
constexpr unsigned kCenter = 4;
constexpr unsigned kRun = 8;
constexpr unsigned kDropped = 16;
constexpr unsigned kPrograms = kAgent | kLocal | kCenter | kRun;
constexpr unsigned kReads = kAgent | kRun;
constexpr unsigned kDrops = kAgent | kRun | kDropped;
constexpr unsigned kSpools = kLocal | kRun;
constexpr unsigned kFinds = kLocal | kCenter;
constexpr unsigned kPublishes = kCenter | kRun;

constexpr ConfigKey kKeys[] = {
    {kPrograms, "role", word, "", "whose settings these are", "agent|local|center|run", 0, 0,
     "one of: agent, local, center, run"},
    {kPrograms, "cluster", text, "", "a name that all hosts which belong together share", "", 0, 0,
     "a name that all its hosts share, such as main"},
    {kAgent, "state", path, "/var/lib/tailrace/agent",
     "journal, ids and lock: with them each line is read once, whatever is killed"},
    {kLocal, "state", path, "/var/lib/tailrace/local", "spool and lock"},
    {kCenter, "state", path, "/var/lib/tailrace/center",
     "lock and id: they prove that a predecessor is dead"},
    {kRun, "state", path, "/var/lib/tailrace/run", "lock, journal, spool and id of all three"},
    {kReads, "admin", address, "127.0.0.1:17420",
     "where /metrics, /livez, /readyz and /api/v1/status are; port 0 picks one"},
    {kLocal, "admin", address, "127.0.0.1:17421",
     "where /metrics, /livez, /readyz and /api/v1/status are; port 0 picks one"},
    {kCenter, "admin", address, "127.0.0.1:17422",
     "where /metrics, /livez, /readyz and /api/v1/status are; port 0 picks one"},

    {kPrograms, "log_format", word, "text",
     "of our own messages on stderr: lines for people, or a JSON object a line", "text|json"},

    {kAgent, "local", path, "/run/tailrace/local.sock", "the socket on which this host's Local is"},
    {kReads, "max_record", size, "1MiB",
     "a longer line is cut into several, which is counted and said", "", 1u << 10, 3u << 20},
    {kReads, "on_spool_loss", word, "resume",
     "of lines that were given to a spool which is gone: resume asks the Centers which are "
     "published and reads the others again; hold waits for a person; resend reads all again (some "
     "may be published twice); drop gives them up",
     "resume|hold|resend|drop"},
    {kDrops, "pipelines", map, "",
     "one for each category. An application's package can bring its own as conf.d/NAME.yaml beside "
     "the agent's file, with `pipelines:` only"},
    {kDrops, "pipelines.*", map, "",
     "the category: lower case letters, digits, '.', '_' and '-'; 64 at most"},
    {kDrops, "pipelines.*.files", list, "",
     "absolute patterns: * ? [...] and ** for any depth of folders", "", 0, 0,
     "a list of patterns such as [/var/log/nginx/*.log]"},
    {kDrops, "pipelines.*.exclude", list, "",
     "patterns that are left out: over the name, or over the whole path if it has a '/'"},
    {kDrops, "pipelines.*.start", text, "beginning",
     "for files that stand there at the very first start: beginning, end, or 'since 1h' (those "
     "written to within that time from their beginning, the others from their end)"},
    {kDrops, "pipelines.*.codec", word, "gzip", "what the published files are compressed with",
     "gzip|zstd|snappy|none"},
    {kDrops, "pipelines.*.latency", word, "normal",
     "normal: a batch a second for files that write little; low: a batch each 50 ms, for more CPU",
     "normal|low"},

    {kSpools, "host", text, "", "how this host is called in what is published (its own name)"},
    {kLocal, "listen", path, "/run/tailrace/local.sock", "the socket to which the agent comes"},
    {kSpools, "spool", map, "", "what is kept until a Center has published it"},
    {kSpools, "spool.size", size, "20GiB", "at most, and never more than 10 % of the disk", "",
     64u << 20},
    {kSpools, "spool.when_full", word, "block",
     "block: reading waits, the log files are the buffer, nothing is lost", "block"},
    {kLocal, "discovery", map, "", "how Centers are found", "", 0, 0,
     "where Centers are: {static: [host:17410]} or {zookeeper: \"host:2181\"}"},
    {kCenter, "discovery", map, "",
     "how Centers see each other, besides what stands in the output: sooner, by ZooKeeper"},
    {kLocal, "discovery.static", list, "",
     "host:port of each; one is used, another when it does not answer"},
    {kLocal, "discovery.zookeeper", text, "",
     "host:2181,host:2181/chroot. It is asked once, when no Center that is known answers; their "
     "list "
     "is kept in the state directory"},
    {kCenter, "discovery.zookeeper", text, "",
     "host:2181,host:2181/chroot. Needed by nothing: while it is away the output is asked as "
     "before"},
    {kFinds, "discovery.auth", text, "",
     "user:password of ZooKeeper's digest scheme, best as ${file:PATH}. With it our nodes may be "
     "read "
     "by all and written by that user; a Local needs none to read",
     "", 0, 0, "", true},
    {kFinds, "discovery.session", duration, "10s",
     "after so long without a Center the others miss it, and 3 s later take its lanes", "", 1000,
     60'000},
    {kFinds, "discovery.allow", list, "",
     "networks (10.0.0.0/8), hosts and domains (.example.com): an address outside of them that "
     "stands in "
     "ZooKeeper is not believed"},

    {kPublishes, "name", text, "", "part of the published names (the host's name)"},
    {kCenter, "listen", address, "0.0.0.0:17410", "an IP address and a port to which Locals come"},
    {kCenter, "advertise", address, "",
     "where Locals and other Centers reach it (the address of 'listen'; this host's name and that "
     "port if that is every address)"},
    {kCenter, "limits", map, "", "what Locals may ask of this Center together"},
    {kCenter, "limits.connections", count, "12000",
     "Locals at a time, and never more than the descriptors of this process allow", "", 1,
     1'000'000},
    {kCenter, "limits.per_address", count, "64",
     "connections of one address; this machine's own are not counted", "", 1, 1'000'000},
    {kCenter, "limits.categories", count, "4096", "in all; of one Local it takes 256", "", 1,
     100'000},
    {kCenter, "limits.memory", size, "2GiB",
     "for what Locals have sent in part or do not read; beyond it the largest are sent away for a "
     "moment",
     "", 16u << 20},
    {kPublishes, "sinks", map, "",
     "where lines are published: a Center into each of them, `tailrace run` into one", "", 0, 0,
     "{warehouse: {type: directory, root: /data/logs}}"},
    {kPublishes, "sinks.*", map, "", "a name of yours"},
    {kPublishes, "sinks.*.type", word, "", "what it is", "directory|hdfs|kafka", 0, 0,
     "directory, hdfs or kafka"},
    {kPublishes, "sinks.*.required", word, "true",
     "whether reading waits for it once a Local's spool is full; false: what only such sinks have "
     "not got is given up there, the oldest first, and each is told how many lines it misses",
     "true|false"},
    {kPublishes, "sinks.*.url", list, "",
     "of hdfs: the NameNodes of one HDFS, webhdfs://host:9870 (swebhdfs:// over TLS), or HttpFS "
     "servers, httpfs://host:14000; whichever is active is used"},
    {kPublishes, "sinks.*.hadoop_conf_dir", path, "",
     "of hdfs, instead of url: a directory with core-site.xml and hdfs-site.xml, which name the "
     "NameNodes; read at the start"},
    {kPublishes, "sinks.*.nameservice", text, "",
     "of hadoop_conf_dir: which of its nameservices (that of fs.defaultFS)"},
    {kPublishes, "sinks.*.user", text, "",
     "of hdfs: as whom, where it has no Kerberos (the user of this process)"},
    {kPublishes, "sinks.*.kerberos", map, "",
     "of hdfs that uses Kerberos: no kinit is needed, tickets are in memory and got anew in time"},
    {kPublishes, "sinks.*.kerberos.principal", text, "",
     "as whom, such as tailrace/_HOST@EXAMPLE.COM; _HOST is this host's full name"},
    {kPublishes, "sinks.*.kerberos.keytab", path, "",
     "the file with that principal's key, which this program's user alone can read"},
    {kPublishes, "sinks.*.ca_file", path, "",
     "of hdfs over TLS (swebhdfs://): the authorities (PEM) that sign its servers' certificates "
     "(the "
     "system's)"},
    {kPublishes, "sinks.*.redirect_hosts", list, "",
     "of hdfs: networks (10.0.0.0/8), hosts and domains (.example.com) where its DataNodes are: a "
     "NameNode's redirect elsewhere is not followed (any host, by the same scheme)"},
    {kPublishes, "sinks.*.owner", text, "",
     "of hdfs: who owns the files, instead of 'user' or the principal, which must be allowed to "
     "act "
     "for others (hadoop.proxyuser.*)"},
    {kPublishes, "sinks.*.group", text, "", "of hdfs: the files' group (their directory's)"},
    {kPublishes, "sinks.*.mode", text, "644",
     "of hdfs: the files' permission, octal; a directory may be entered by whoever may "
     "read it"},
    {kPublishes, "sinks.*.replication", count, "", "of hdfs: copies of a block (HDFS's own choice)",
     "", 1, 512},
    {kPublishes, "sinks.*.block_size", size, "",
     "of hdfs: whole MiB (as large as the file, rounded up: one block, and no more of a quota)", "",
     1u << 20, 1ull << 40},
    {kPublishes, "sinks.*.verify", word, "length",
     "of hdfs: what of a sent file is compared before it is published; checksum finds bytes that "
     "were changed on the way, for one more call and one more reading of the spill",
     "length|checksum"},
    {kPublishes, "sinks.*.bandwidth", size, "",
     "of hdfs: bytes a second that all uploads of this Center take together (no limit)", "",
     64u << 10},
    {kPublishes, "sinks.*.root", path, "",
     "of directory and hdfs: the published files; names that begin with _ are not for readers"},
    {kPublishes, "sinks.*.brokers", list, "",
     "of kafka: host:port of some brokers of one cluster; the others are found by them"},
    {kPublishes, "sinks.*.delivery", word, "exactly_once",
     "of kafka: lines and how far they reach in one transaction; or, where transactions are "
     "forbidden, first the lines and then how far they reach: some come twice when something dies",
     "exactly_once|at_least_once"},
    {kPublishes, "sinks.*.topic", text, "{category}",
     "of kafka: the topic of a category's lines, with {category} in it or one for all"},
    {kPublishes, "sinks.*.form", word, "lines",
     "of kafka: one record a line, or the agent's batches as they came, one record each: less work "
     "for all but the reader",
     "lines|packed"},
    {kPublishes, "sinks.*.partition", word, "stream",
     "of kafka: by the stream, so that a file's lines keep their order, or one batch after another "
     "wherever there is room",
     "stream|round_robin"},
    {kPublishes, "sinks.*.headers", list, "",
     "of kafka: what each record carries besides, of host, path, stream and seq (all but path); "
     "[none]"},
    {kPublishes, "sinks.*.latency", duration, "1s",
     "of kafka: for how long lines may wait for others, before their transaction ends", "", 50,
     10'000},
    {kPublishes, "sinks.*.positions_topic", text, "__tailrace_positions",
     "of kafka: how far each stream has come, written in the transactions of its lines; compacted, "
     "and of this sink alone"},
    {kPublishes, "sinks.*.create_topics", word, "false",
     "of kafka: whether topics that are not there are made, as the brokers think right",
     "false|true"},
    {kPublishes, "sinks.*.properties", map, "",
     "of kafka: of librdkafka, such as security.protocol, sasl.mechanisms, ssl.ca.location, "
     "sasl.kerberos.keytab, compression.codec; those that would break the promise are refused"},
    {kPublishes, "sinks.*.properties.*", text, "", "as librdkafka's page of properties says", "", 0,
     UINT64_MAX, "", true},
    {kPublishes, "sinks.*.control", text, "_tailrace",
     "the commit log and who owns what: below the root, or an absolute path; on HDFS best one of "
     "its own, mode 700"},
    {kPublishes, "sinks.*.layout", text, "{category}/dt={date}/hr={hour}",
     "directories of the published files"},
    {kPublishes, "sinks.*.timezone", text, "",
     "of {date} and {hour}, such as UTC or Europe/Berlin; needed where the layout has one of them"},
    {kPublishes, "sinks.*.format", word, "text",
     "of the published files: text, lines as the agents compressed them; sequence_file, Hadoop's, "
     "of "
     "LongWritable (when a line was read, in ms) and Text, compressed once more by the Center in "
     "the "
     "pipeline's codec",
     "text|sequence_file"},
    {kPublishes, "sinks.*.categories", map, "", "what is otherwise for some categories"},
    {kPublishes, "sinks.*.categories.*", map, "", "a category, as a pipeline is called"},
    {kPublishes, "sinks.*.categories.*.format", word, "", "of its files (the sink's)",
     "text|sequence_file"},
    {kPublishes, "sinks.*.categories.*.owner", text, "",
     "of hdfs: of its files; its directory below the root must be his, or be made so that he can"},
    {kPublishes, "sinks.*.categories.*.group", text, "", "of hdfs"},
    {kPublishes, "sinks.*.categories.*.mode", text, "", "of hdfs"},
    {kPublishes, "sinks.*.categories.*.replication", count, "", "of hdfs", "", 1, 512},
    {kPublishes, "sinks.*.roll", map, "",
     "when a file is closed, besides the end of its directory's time"},
    {kPublishes, "sinks.*.roll.size", size, "128MiB",
     "at this size, compressed (512MiB of SequenceFiles)", "", 64u << 10},
    {kPublishes, "sinks.*.roll.age", duration, "",
     "at this age, whatever its size; without it quiet categories make no small files", "", 1000},
    {kPublishes, "sinks.*.roll.idle", duration, "", "when nothing has come for so long", "", 100},
};

constexpr std::array<ConfigKeys, 5> kTables = {ConfigKeys{kKeys, kAgent}, ConfigKeys{kKeys, kLocal},
                                               ConfigKeys{kKeys, kCenter}, ConfigKeys{kKeys, kRun},
                                               ConfigKeys{{}, 0}};
constexpr ConfigKeys kDroppedKeys = {kKeys, kDropped};
}  // namespace

const ConfigKeys& config_keys(std::string_view role) {
  for (size_t i = 0; i < std::size(kRoles); ++i)
    if (kRoles[i] == role) return kTables[i];
  return kTables.back();
}

const ConfigKeys& dropped_keys() { return kDroppedKeys; }

}  // namespace tailrace
