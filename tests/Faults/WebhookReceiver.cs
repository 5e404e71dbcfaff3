using System.Net;
using System.Text.Json;

namespace Actors.Faults;

internal enum ReceiverMode
{
    Works,

    /// <summary>Nobody listens.</summary>
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

/// <summary>Another destination of every message: an HTTP server that appends what it takes to a file, in the order of its coming, before it answers.</summary>
internal sealed class WebhookReceiver : IDisposable
{
    /// <summary>For how long a silo waits for its answer.</summary>
    public static readonly TimeSpan SenderTimeout = TimeSpan.FromMilliseconds(500);

    public static readonly string Secret = Convert.ToBase64String(new byte[32]);

    private readonly FileStream _file;
    private readonly SemaphoreSlim _one = new(1, 1);
    private HttpListener _listener;
    private ReceiverMode _mode;
    private int _asked;

    public WebhookReceiver(string file, int port)
    {
        _file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.Read);
        Port = port;
        _listener = Listen();
    }

    public int Port { get; }

    public ReceiverMode Mode
    {
        get => _mode;
        set
        {
            if (value == ReceiverMode.Down)
            {
                _listener.Abort();
            }
            else if (_mode == ReceiverMode.Down)
            {
                _listener = Listen();
            }

            _mode = value;
        }
    }

    public void Dispose()
    {
        _listener.Abort();
        _file.Dispose();
    }

    private HttpListener Listen()
    {
        var listener = new HttpListener { Prefixes = { $"http://127.0.0.1:{Port}/" } };
        listener.Start();
        _ = AcceptAsync(listener);
        return listener;
    }

    private async Task AcceptAsync(HttpListener listener)
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await listener.GetContextAsync());
            }
        }
        catch (Exception error) when (IsOver(error))
        {
            // Down, or the end.
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

    private static bool IsOver(Exception error) => error is HttpListenerException or ObjectDisposedException or IOException or InvalidOperationException;

    private sealed record Received(string Id, Moved Data);
}
