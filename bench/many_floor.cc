// What Z8 costs at the least: connections that send batches in turn to a program that only writes
// them to a file, and answers each that sent something once 16 MiB have come in all. No session, no
// check, no book is kept. Prints CPU microseconds a batch.
//   bench_many_floor CONNECTIONS MIB_PER_SECOND SECONDS FILE
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr size_t kBatchBytes = (256u << 10) / 7;  // as Z8's, which are 256 KiB raw
constexpr uint64_t kRollBytes = 16u << 20;
constexpr int64_t kFileBytes = 256 << 20;  // then it begins anew
constexpr size_t kAnswerBytes = 40;
constexpr int kQuietMs = 1'000;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

void send_batches(const sockaddr_in& to, size_t connections, double bytes_per_s, double last_s) {
  std::vector<int> out(connections);
  for (int& fd : out) {
    fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fail("connect");
  }
  std::string batch(kBatchBytes, '\0');
  std::mt19937 noise(1);
  for (char& c : batch) c = static_cast<char>(noise());
  std::vector<char> answers(4096);
  const double begun = seconds();
  double sent = 0;
  for (size_t turn = 0; seconds() - begun < last_s;) {
    for (; sent < bytes_per_s * (seconds() - begun); ++turn) {
      const int fd = out[turn % connections];
      for (size_t done = 0; done < batch.size();) {
        const ssize_t n = ::send(fd, batch.data() + done, batch.size() - done, MSG_NOSIGNAL);
        if (n <= 0) fail("send");
        done += static_cast<size_t>(n);
      }
      sent += static_cast<double>(batch.size());
      while (::recv(fd, answers.data(), answers.size(), MSG_DONTWAIT) > 0) {
      }
    }
    ::usleep(1'000);
  }
}

struct Peer {
  int fd = -1;
  size_t got = 0;
  std::string batch = std::string(kBatchBytes, '\0');
};

// Until nothing comes any more. How many batches.
uint64_t take_batches(std::vector<Peer>& peers, int file) {
  const int epoll = ::epoll_create1(0);
  for (size_t i = 0; i < peers.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = i;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event) != 0) fail("epoll_ctl");
  }
  std::vector<epoll_event> events(128);
  const std::string answer(kAnswerBytes, '\0');
  std::set<int> owed;
  uint64_t batches = 0, since = 0;
  int n = 0;
  while ((n = ::epoll_wait(epoll, events.data(), 128, kQuietMs)) > 0)
    for (size_t k = 0; k < static_cast<size_t>(n); ++k) {
      Peer& peer = peers[events[k].data.u64];
      ssize_t read = 0;
      while ((read = ::recv(peer.fd, peer.batch.data() + peer.got, kBatchBytes - peer.got, 0)) >
             0) {
        peer.got += static_cast<size_t>(read);
        if (peer.got < kBatchBytes) continue;
        peer.got = 0;
        const int64_t at = static_cast<int64_t>(batches++ * kBatchBytes) % kFileBytes;
        if (::pwrite(file, peer.batch.data(), kBatchBytes, at) < 0) fail("write");
        owed.insert(peer.fd);
        if ((since += kBatchBytes) < kRollBytes) continue;
        for (const int fd : owed)
          if (::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) fail("answer");
        owed.clear();
        since = 0;
      }
    }
  ::close(epoll);
  return batches;
}

double cpu_s() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: bench_many_floor CONNECTIONS MIB_PER_SECOND SECONDS FILE\n", stderr);
    return 2;
  }
  std::vector<Peer> peers(std::strtoul(argv[1], nullptr, 10));
  const double rate = std::strtod(argv[2], nullptr) * (1 << 20);
  const double last_s = std::strtod(argv[3], nullptr);
  const int door = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  if (::bind(door, address, size) != 0 || ::listen(door, 4096) != 0 ||
      ::getsockname(door, address, &size) != 0)
    fail("listen");
  const pid_t sender = ::fork();
  if (sender == 0) {
    send_batches(at, peers.size(), rate, last_s);
    std::_Exit(0);
  }
  for (Peer& peer : peers) peer.fd = ::accept4(door, nullptr, nullptr, SOCK_NONBLOCK);
  const int file = ::open(argv[4], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0) fail(argv[4]);
  const double before = cpu_s();
  const uint64_t batches = take_batches(peers, file);
  const double each = (cpu_s() - before) / static_cast<double>(batches) * 1e6;
  std::printf("{\"connections\": %zu, \"batches\": %lu, \"cpu_us_a_batch\": %.1f}\n", peers.size(),
              batches, each);
  ::waitpid(sender, nullptr, 0);
}
