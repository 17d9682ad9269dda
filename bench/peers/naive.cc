// SPDX-License-Identifier: Apache-2.0
//
// naive: count and sum(bytes) by user, as one gets it from RocksDB without further
// thought: for each record a get, an addition and a put.
//
//	naive DATA ROWS DIRECTORY MEMORY_MIB
//
// DATA is what gen csv writes; the first ROWS of it are read. DIRECTORY is made, and not
// removed. MEMORY_MIB is shared by the cache of blocks (half) and two memtables (a quarter
// each). Prints user,n,bytes. It has what helps such a program: no log (as Flink's
// backend has none), Bloom filters, no compression, two background threads.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace {

struct Totals {
	int64_t count;
	int64_t bytes;
};

[[noreturn]] void die(const char *what, const std::string &why)
{
	std::fprintf(stderr, "naive: %s: %s\n", what, why.c_str());
	std::exit(74);
}

void check(const rocksdb::Status &status, const char *what)
{
	if (!status.ok())
		die(what, status.ToString());
}

std::unique_ptr<rocksdb::DB> open_database(const char *directory, size_t memory)
{
	rocksdb::BlockBasedTableOptions table;
	rocksdb::Options options;
	rocksdb::DB *db;

	table.block_cache = rocksdb::NewLRUCache(memory / 2);
	table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
	table.cache_index_and_filter_blocks = true;
	table.block_size = 16 << 10;
	options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
	options.create_if_missing = true;
	options.compression = rocksdb::kNoCompression;
	options.write_buffer_size = memory / 4;
	options.max_write_buffer_number = 2;
	options.max_background_jobs = 2;
	options.max_open_files = 256;
	check(rocksdb::DB::Open(options, directory, &db), directory);
	return std::unique_ptr<rocksdb::DB>(db);
}

void add(rocksdb::DB *db, const rocksdb::Slice &user, int64_t bytes)
{
	static const rocksdb::ReadOptions read;
	static rocksdb::WriteOptions write;
	rocksdb::PinnableSlice old;
	Totals totals = {0, 0};
	rocksdb::Status status = db->Get(read, db->DefaultColumnFamily(), user, &old);

	if (status.ok())
		std::memcpy(&totals, old.data(), sizeof(totals));
	else if (!status.IsNotFound())
		check(status, "get");
	totals.count++;
	totals.bytes += bytes;
	write.disableWAL = true;
	check(db->Put(write, user, rocksdb::Slice(reinterpret_cast<const char *>(&totals),
						  sizeof(totals))), "put");
}

// ts,user,url,status,bytes: what is wanted is behind the first and the last comma.
void add_line(rocksdb::DB *db, const char *line)
{
	const char *user = std::strchr(line, ',');
	const char *end = user ? std::strchr(user + 1, ',') : nullptr;
	const char *last = std::strrchr(line, ',');

	if (!end || last <= end)
		die("data", line);
	add(db, rocksdb::Slice(user + 1, static_cast<size_t>(end - user - 1)),
	    std::strtoll(last + 1, nullptr, 10));
}

void print_all(rocksdb::DB *db)
{
	std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(rocksdb::ReadOptions()));

	std::puts("user,n,bytes");
	for (it->SeekToFirst(); it->Valid(); it->Next()) {
		Totals totals;

		std::memcpy(&totals, it->value().data(), sizeof(totals));
		std::printf("%.*s,%lld,%lld\n", static_cast<int>(it->key().size()),
			    it->key().data(), static_cast<long long>(totals.count),
			    static_cast<long long>(totals.bytes));
	}
	check(it->status(), "reading all");
}

} // namespace

int main(int argc, char **argv)
{
	char line[256];

	if (argc != 5) {
		std::fprintf(stderr, "usage: naive DATA ROWS DIRECTORY MEMORY_MIB\n");
		return 64;
	}
	std::FILE *data = std::fopen(argv[1], "r");
	if (!data || !std::fgets(line, sizeof(line), data))
		die(argv[1], "cannot be read");
	auto db = open_database(argv[3], std::strtoull(argv[4], nullptr, 10) << 20);
	long long rows = std::strtoll(argv[2], nullptr, 10);
	while (rows-- > 0 && std::fgets(line, sizeof(line), data))
		add_line(db.get(), line);
	print_all(db.get());
	std::fclose(data);
	return std::fflush(stdout) == 0 ? 0 : 74;
}
