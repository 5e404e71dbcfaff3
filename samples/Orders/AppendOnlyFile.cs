using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.Channels;

namespace Actors.Orders;

/// <summary>
/// A file of JSON lines, one process writing. A line is on the disk (fsync) when the task of its append completes, and lines stand in the
/// order of the calls; appends that come while the disk works share the next fsync. A disk that fails ends the process: nobody could tell
/// what stands there.
/// </summary>
internal sealed class AppendOnlyFile<T> : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    private readonly Channel<(T Line, TaskCompletionSource Written)> _queue = Channel.CreateBounded<(T, TaskCompletionSource)>(10_000);
    private readonly FileStream _file;
    private readonly Task _writer;

    /// <summary>Opens or makes the file. A last line that a kill cut short was never acknowledged, and is removed.</summary>
    /// <param name="lines">What it holds.</param>
    public AppendOnlyFile(string path, out List<T> lines)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        lines = Read(path, out var whole);
        _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        _file.SetLength(whole);
        _file.Seek(0, SeekOrigin.End);
        _writer = Task.Run(WriteAsync);
    }

    /// <summary>The whole lines of a file that another process may be writing; none where there is no file.</summary>
    public static List<T> Read(string path) => Read(path, out _);

    public Task AppendAsync(T line)
    {
        var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _queue.Writer.TryWrite((line, written))
            ? written.Task
            : throw new InvalidOperationException("More than 10,000 lines wait for the disk.");
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _writer;
        await _file.DisposeAsync();
    }

    private async Task WriteAsync()
    {
        var group = new List<TaskCompletionSource>();
        while (await _queue.Reader.WaitToReadAsync())
        {
            while (group.Count < 1_000 && _queue.Reader.TryRead(out var next))
            {
                _file.Write(JsonSerializer.SerializeToUtf8Bytes(next.Line, Json));
                _file.WriteByte((byte)'\n');
                group.Add(next.Written);
            }

            Flush();
            group.ForEach(written => written.SetResult());
            group.Clear();
        }
    }

    private void Flush()
    {
        try
        {
            _file.Flush(flushToDisk: true);
        }
        catch (IOException error)
        {
            Environment.FailFast($"{_file.Name} cannot be written.", error);
        }
    }

    private static List<T> Read(string path, out long whole)
    {
        whole = 0;
        if (!File.Exists(path))
        {
            return [];
        }

        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        var lines = new List<T>();
        for (int end; (end = Array.IndexOf(bytes, (byte)'\n', (int)whole)) >= 0; whole = end + 1)
        {
            lines.Add(JsonSerializer.Deserialize<T>(bytes.AsSpan((int)whole, end - (int)whole), Json)!);
        }

        return lines;
    }
}
