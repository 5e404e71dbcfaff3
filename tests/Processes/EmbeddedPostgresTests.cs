using System.Diagnostics;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Processes;

[EachPostgres]
[OnlyInAll]
public sealed class EmbeddedPostgresTests : IAsyncLifetime
{
    private static readonly string Major = TestPostgres.Settings.Major is { } major ? $" --major {major}" : "";
    private readonly string _root = Directory.CreateTempSubdirectory("actors-test-").FullName;
    private readonly OwnPostgres _own = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _own.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task A_server_survives_the_kill_of_its_starter_is_adopted_by_others_and_stops_from_elsewhere()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Made with setsid, which Linux has.");
        // A shell that leads a session of its own starts the server and stays: the kill reaches it and all that belong to it.
        using var starter = Shell($"{Start(_own.Settings.RootFolder)} && exec sleep 600", newSession: true);
        var first = await starter.StandardOutput.ReadLineAsync(Cancellation);
        using var kill = Shell($"kill -KILL -{starter.Id}");
        await kill.WaitForExitAsync(Cancellation);
        await starter.WaitForExitAsync(Cancellation);
        await AssertAnswersAsync(first);

        using var second = Shell(Start(_own.Settings.RootFolder));
        Assert.Equal(first, await second.StandardOutput.ReadLineAsync(Cancellation));
        Assert.StartsWith("adopted ", LastLine(await second.StandardError.ReadToEndAsync(Cancellation)));
        await second.WaitForExitAsync(Cancellation);

        Assert.NotNull(await _own.StopAsync(Cancellation));
        await using var connection = new NpgsqlConnection(first + ";Pooling=false");
        await Assert.ThrowsAsync<NpgsqlException>(() => connection.OpenAsync(Cancellation));
    }

    [Fact]
    public async Task A_server_that_was_killed_comes_back_at_the_same_address_with_what_was_committed()
    {
        var first = await _own.StartAsync(cancellation: Cancellation);
        await using (var source = NpgsqlDataSource.Create(first.ConnectionString))
        {
            await using var create = source.CreateCommand("create table kept ()");
            await create.ExecuteNonQueryAsync(Cancellation);
        }
        var processId = int.Parse(File.ReadLines(Path.Combine(first.Folder!, "data", "postmaster.pid")).First());
        using (var server = Process.GetProcessById(processId))
        {
            server.Kill();
            await server.WaitForExitAsync(Cancellation);
        }

        var second = await _own.StartAsync(cancellation: Cancellation);

        Assert.Equal(first, second);
        await AssertAnswersAsync(second.ConnectionString, "select 1 from pg_class where relname = 'kept'");
    }

    [Fact]
    public async Task An_ordinary_user_starts_and_stops_a_server_in_a_folder_of_its_own()
    {
        Assert.SkipWhen(
            OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess, "Run by an ordinary user, every other test shows it.");
        // The clone may be where only root can go: the program and the binaries that root has come along.
        var fetched = Path.GetDirectoryName((await _own.StartAsync(cancellation: Cancellation)).Folder);
        using var prepare = Shell($"""
            cp -r '{Path.GetDirectoryName(BuiltProgram.Orders)}' {_root}/silo && mkdir {_root}/.actors
            cp -r '{fetched}'/npm-* {_root}/.actors/ 2>/dev/null; chown -R nobody {_root}; chmod 755 {_root}
            """);
        await prepare.WaitForExitAsync(Cancellation);

        var program = $"{_root}/silo/{Path.GetFileName(BuiltProgram.Orders)}";
        using var start = Shell(Start(_root, program), user: "nobody");
        var connectionString = await start.StandardOutput.ReadToEndAsync(Cancellation);
        var started = LastLine(await start.StandardError.ReadToEndAsync(Cancellation));
        Assert.Equal($"started {_root}/.actors", Path.GetDirectoryName(started));
        await AssertAnswersAsync(connectionString.Trim());

        using var stop = Shell($"{program} postgres stop --root {_root} --name {_own.Settings.Name}", user: "nobody");
        Assert.StartsWith("stopped ", await stop.StandardError.ReadToEndAsync(Cancellation));
    }

    private string Start(string root, string? program = null) =>
        $"'{program ?? BuiltProgram.Orders}' postgres start --root '{root}' --name {_own.Settings.Name}{Major}";

    private Process Shell(string script, bool newSession = false, string? user = null)
    {
        string[] shell = newSession ? ["setsid", "sh", "-c", script] : ["sh", "-c", script];
        return Process.Start(new ProcessStartInfo(shell[0], shell[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _root,
            UserName = user ?? "",
        })!;
    }

    private static string LastLine(string text) => text.Trim().Split('\n')[^1];

    private static async Task AssertAnswersAsync(string? connectionString, string sql = "select 1")
    {
        await using var source = NpgsqlDataSource.Create(connectionString ?? "");
        await using var command = source.CreateCommand(sql);
        Assert.Equal(1, await command.ExecuteScalarAsync(Cancellation));
    }
}
