// Direct I/O by pread, pwrite and fdatasync (D23). A short write is continued; an error is reported once and for all.
#include "direct_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "align.h"
#include "assert.h"
#include "format.h"

namespace plogdb {
namespace {

Status SystemError(const std::string& what, int error) {
  return Status(StatusCode::kIoError, what + ": " + std::strerror(error));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class DirectDevice : public BlockDevice {
 public:
  DirectDevice(FileDescriptor fd, std::string path, uint64_t bytes, IoMode mode, bool is_file)
      : fd_(std::move(fd)), path_(std::move(path)), bytes_(bytes), mode_(mode), is_file_(is_file) {}

  Status Read(uint64_t offset, std::span<uint8_t> out) override {
    PLOGDB_ASSERT(offset % kBlockBytes == 0 && out.size() % kBlockBytes == 0, "aligned I/O");
    while (!out.empty()) {
      const ssize_t got = pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return SystemError("cannot read " + path_, errno);
      if (got == 0) return Status(StatusCode::kIoError, "cannot read " + path_ + ": it is shorter than it was");
      out = out.subspan(static_cast<size_t>(got));
      offset += static_cast<uint64_t>(got);
    }
    return Status::Ok();
  }

  Status Write(uint64_t offset, std::span<const uint8_t> data) override {
    PLOGDB_ASSERT(offset % kBlockBytes == 0 && data.size() % kBlockBytes == 0, "aligned I/O");
    PLOGDB_ASSERT(offset + data.size() <= bytes_, "D1: never grown");
    while (!data.empty()) {
      const ssize_t put = pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return SystemError("cannot write " + path_, errno);
      if (put == 0) return Status(StatusCode::kIoError, "cannot write " + path_ + ": nothing was taken");
      data = data.subspan(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    return Status::Ok();
  }

  Status Flush() override {
    if (fdatasync(fd_.get()) == 0) return Status::Ok();
    return SystemError("cannot flush " + path_, errno);
  }

  uint64_t bytes() const override { return bytes_; }
  IoMode io_mode() const override { return mode_; }
  bool wants_zero_fill() const override { return is_file_; }

 private:
  FileDescriptor fd_;
  const std::string path_;
  const uint64_t bytes_;
  const IoMode mode_;
  const bool is_file_;
};

// An open-file-description lock: it belongs to the open file, so a second open of the same process conflicts too, and
// it lasts as long as the last I/O in flight.
Status Lock(int fd, const std::string& path) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return Status::Ok();
  if (errno == EAGAIN || errno == EACCES) {
    return Status(StatusCode::kLocked, path + " is in use by another running store; stop that one first");
  }
  return SystemError("cannot lock " + path, errno);
}

// Makes the name durable too: a store that is found again after a power loss must be the whole one.
Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const FileDescriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return SystemError("cannot flush the directory " + directory, errno);
  return Status::Ok();
}

// True when nothing was ever formatted here.
bool IsBlank(int fd, uint64_t size) {
  if (size < kBlockBytes) return size == 0;
  AlignedBuffer block;
  block.Reserve(kBlockBytes);
  if (pread(fd, block.data(), kBlockBytes, 0) != static_cast<ssize_t>(kBlockBytes)) return false;
  return IsZero(block.first(kBlockBytes));
}

// Opened with O_DIRECT, or, where the file system refuses that, without: the report says which. A block device
// exclusively: so nothing else of the system has it, by whatever name (a mounted file system, swap, a RAID, another
// store).
FileDescriptor OpenFile(const std::string& path, IoMode* mode) {
  struct stat facts {};
  const bool is_device = stat(path.c_str(), &facts) == 0 && S_ISBLK(facts.st_mode);
  const int flags = O_RDWR | O_CLOEXEC | (is_device ? O_EXCL : O_CREAT);
  *mode = IoMode::kDirect;
  FileDescriptor fd(open(path.c_str(), flags | O_DIRECT, 0600));
  if (fd.get() < 0 && errno == EINVAL) {
    *mode = IoMode::kBuffered;
    fd = FileDescriptor(open(path.c_str(), flags, 0600));
  }
  return fd;
}

Status Preallocate(int fd, const std::string& path, uint64_t bytes) {
  const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (error == ENOSPC) {
    return Status(StatusCode::kDiskFull, "no room for " + std::to_string(bytes) + " bytes of " + path);
  }
  if (error != 0) return SystemError("cannot allocate " + path, error);
  if (fsync(fd) != 0) return SystemError("cannot flush " + path, errno);
  return SyncDirectoryOf(path);
}

}  // namespace

Status DirectDeviceFactory::Open(const std::string& path, uint64_t bytes, std::unique_ptr<BlockDevice>* out,
                                 bool* created) {
  *created = false;
  IoMode mode = IoMode::kDirect;
  FileDescriptor fd = OpenFile(path, &mode);
  if (fd.get() < 0 && errno == EBUSY) {
    return Status(StatusCode::kLocked, path + " is in use by the system or another running store");
  }
  if (fd.get() < 0) return SystemError("cannot open " + path, errno);
  struct stat facts {};
  if (fstat(fd.get(), &facts) != 0) return SystemError("cannot look at " + path, errno);
  const bool is_file = S_ISREG(facts.st_mode);
  if (!is_file && !S_ISBLK(facts.st_mode)) {
    return Status(StatusCode::kInvalidArgument, path + " is neither a file nor a block device");
  }
  Status status = Lock(fd.get(), path);
  if (!status.ok()) return status;
  // Again: another process may have made the file before the lock was taken.
  if (fstat(fd.get(), &facts) != 0) return SystemError("cannot look at " + path, errno);
  uint64_t size = static_cast<uint64_t>(facts.st_size);
  if (!is_file && ioctl(fd.get(), BLKGETSIZE64, &size) != 0) return SystemError("cannot size " + path, errno);
  if (is_file && size < bytes && IsBlank(fd.get(), size)) {  // new, or a crash interrupted its making
    status = Preallocate(fd.get(), path, bytes);
    if (!status.ok()) return status;
    size = bytes;
    *created = true;
  }
  *out = std::make_unique<DirectDevice>(std::move(fd), path, size, mode, is_file);
  return Status::Ok();
}

}  // namespace plogdb
