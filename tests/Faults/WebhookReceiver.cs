using System.Net;
using System.Text.Json;

namespace Actors.Faults;

internal enum ReceiverMode
{
    Works,

    /// <summary>Every connection ends at once.</summary>
    Down,

    /// <summary>Answers in time, but not soon.</summary>
    Slow,

    /// <summary>Answers 500.</summary>
    Refuses,

    /// <summary>Answers 500 to every third.</summary>
    Moody,

    /// <summary>Takes the message, and says so when the sender has given up.</summary>
    Late,

    /// <summary>Takes the message, and cuts the connection.</summary>
    Resets,
}

/// <summary>Another destination of every message: an HTTP server that appends what it takes to a file, in the order of its coming, before
/// it answers.</summary>
internal sealed class WebhookReceiver : IDisposable
{
    /// <summary>For how long a silo waits for its answer.</summary>
    public static readonly TimeSpan SenderTimeout = TimeSpan.FromMilliseconds(500);

    public static readonly string Secret = Convert.ToBase64String(new byte[32]);

    private readonly FileStream _file;
    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly HttpListener _listener;
    private readonly FaultProxy _proxy;
    private ReceiverMode _mode;
    private int _asked;

    /// <param name="port">Where it listens behind its proxy.</param>
    public WebhookReceiver(string file, int port)
    {
        _file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.Read);
        _listener = new HttpListener { Prefixes = { $"http://127.0.0.1:{port}/" } };
        _listener.Start();
        _proxy = new FaultProxy(() => port);
        _ = AcceptAsync();
    }

    public int Port => _proxy.Port;

    public ReceiverMode Mode
    {
        get => _mode;
        set
        {
            _mode = value;
            if (value == ReceiverMode.Down)
            {
                _proxy.Cut(); // Not by the listener: one that stops answers 200 to what it has not taken.
            }
            else
            {
                _proxy.Heal();
            }
        }
    }

    public void Dispose()
    {
        _proxy.Dispose();
        _listener.Abort();
        _file.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.GetContextAsync());
            }
        }
        catch (Exception error) when (IsOver(error))
        {
            // The end.
        }
    }

    private async Task ServeAsync(HttpListenerContext context)
    {
        try
        {
            var mode = _mode;
            var message = await JsonSerializer.DeserializeAsync<Received>(context.Request.InputStream, JsonSerializerOptions.Web);
            if (mode == ReceiverMode.Refuses || (mode == ReceiverMode.Moody && Interlocked.Increment(ref _asked) % 3 == 0))
            {
                context.Response.StatusCode = 500;
                context.Response.Close();
                return;
            }

            await Task.Delay(mode == ReceiverMode.Slow ? SenderTimeout / 4 : TimeSpan.Zero);
            await TakeAsync(message!);
            if (mode == ReceiverMode.Resets)
            {
                context.Response.Abort();
                return;
            }

            await Task.Delay(mode == ReceiverMode.Late ? SenderTimeout * 2 : TimeSpan.Zero);
            context.Response.Close();
        }
        catch (Exception error) when (IsOver(error))
        {
            // The sender has gone.
        }
    }

    private async Task TakeAsync(Received message)
    {
        await _one.WaitAsync();
        try
        {
            await _file.WriteAsync(System.Text.Encoding.UTF8.GetBytes(EffectSink.Line(message.Data, message.Id) + "\n"));
            _file.Flush(flushToDisk: true);
        }
        finally
        {
            _one.Release();
        }
    }

    private static bool IsOver(Exception error) =>
        error is HttpListenerException or ObjectDisposedException or IOException or InvalidOperationException;

    private sealed record Received(string Id, Moved Data);
}
